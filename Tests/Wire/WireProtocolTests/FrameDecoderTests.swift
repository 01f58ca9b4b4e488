import NIOCore
import Testing
import WireProtocol

struct FrameDecoderTests {
    private static let hello = Hello(
        lowestVersion: 1,
        highestVersion: 1,
        features: 0,
        role: .client,
        token: "secret",
        agent: "test"
    )

    private func decoder(isOpen: Bool = true, limit: UInt32 = 4096) -> FrameDecoder {
        FrameDecoder(payloadLimit: limit, isOpen: isOpen)
    }

    /// A frame with a right header checksum, whatever its fields claim.
    private func header(
        payloadByteCount: UInt32 = 0,
        type: UInt16,
        flags: UInt16 = 0,
        stream: UInt64 = 9,
        payload: [UInt8] = []
    ) throws -> [UInt8] {
        var frame = try Wire.frameBytes(Ping())
        var fields = ByteBuffer()
        fields.writeInteger(payloadByteCount, endianness: .little)
        fields.writeInteger(type, endianness: .little)
        fields.writeInteger(flags, endianness: .little)
        fields.writeInteger(stream, endianness: .little)
        frame.replaceSubrange(0..<16, with: Array(fields.readableBytesView))
        ChecksumFixture.seal(&frame)
        return frame + payload
    }

    @Test func beforeTheHelloNothingElseIsLetThrough() throws {
        var decoder = decoder(isOpen: false)
        decoder.feed(ByteBuffer(bytes: try Wire.frameBytes(Ping())))
        #expect(throws: FrameError.notHello(firstBytes: 0)) { try decoder.next() }
    }

    @Test func aHelloOpensTheDecoderForEverything() throws {
        var decoder = decoder(isOpen: false)
        decoder.feed(ByteBuffer(bytes: try Wire.frameBytes(Self.hello) + Wire.frameBytes(Ping())))
        guard case .frame(let first) = try decoder.next() else {
            Issue.record("no hello")
            return
        }
        #expect(first.header.type == .hello)
        decoder.open(payloadLimit: 1 << 20)
        guard case .frame(let second) = try decoder.next() else {
            Issue.record("no ping")
            return
        }
        #expect(second.header.type == .ping)
    }

    @Test(arguments: ["GET / HTTP/1.1\r\n", "SSH-2.0-x", "\u{16}\u{3}\u{1}\u{2}", "POST"])
    func strangersAreToldByTheirFirstFourBytes(greeting: String) {
        var decoder = decoder(isOpen: false)
        decoder.feed(ByteBuffer(bytes: Array(greeting.utf8.prefix(4))))
        let error = #expect(throws: FrameError.self) { try decoder.next() }
        let names = ["GET ": "HTTP", "POST": "HTTP", "\u{16}\u{3}\u{1}\u{2}": "TLS"]
        #expect(error?.description.contains(names[String(greeting.prefix(4))] ?? "not a Mien hello") == true)
    }

    @Test func anOversizeHelloIsRefusedBeforeItsPayload() throws {
        var decoder = decoder(isOpen: false, limit: 4096)
        decoder.feed(ByteBuffer(bytes: try header(payloadByteCount: 4097, type: MessageType.hello.rawValue)))
        #expect(throws: FrameError.notHello(firstBytes: 4097)) { try decoder.next() }
    }

    @Test(arguments: [4097, UInt32.max])
    func anOversizePayloadIsRefusedByItsHeaderAlone(byteCount: UInt32) throws {
        var decoder = decoder(limit: 4096)
        decoder.feed(ByteBuffer(bytes: try header(payloadByteCount: byteCount, type: 2)))
        #expect(throws: FrameError.payloadLimit(stream: 9, byteCount: byteCount, limit: 4096)) { try decoder.next() }
    }

    @Test func unknownTypesAndFlagsAreSkippedAndReported() throws {
        let payload = [UInt8](repeating: 7, count: 1000)
        for (type, flags) in [(0x7fff as UInt16, 0 as UInt16), (MessageType.ping.rawValue, 1)] {
            let bytes =
                try header(payloadByteCount: 1000, type: type, flags: flags, payload: payload)
                + Wire.frameBytes(Pong())
            for pieceByteCount in [1, 500, bytes.count] {
                let events = try Wire.frames(bytes, pieceByteCount: pieceByteCount)
                try #require(events.count == 2)
                guard case .unknown(let skipped) = events[0], case .frame(let next) = events[1] else {
                    Issue.record("type \(type) in pieces of \(pieceByteCount)")
                    return
                }
                #expect(skipped.stream == 9 && skipped.typeNumber == type)
                #expect(next.header.type == .pong)
            }
        }
    }

    @Test func aPayloadThatIsNotWantedIsDroppedAsItComesAndReported() throws {
        let payload = [UInt8](repeating: 7, count: 1000)
        let type = MessageType.enrolFaces.rawValue
        // Nobody looks at what it is: its checksum is wrong.
        let bytes = try header(payloadByteCount: 1000, type: type, payload: payload) + Wire.frameBytes(Pong())
        for keptByteCount in [0, 1, 999] {
            for pieceByteCount in [1, 500, bytes.count] {
                var decoder = decoder()
                let firstByteCount = FrameHeader.byteCount + keptByteCount
                decoder.feed(ByteBuffer(bytes: bytes[..<firstByteCount]))
                #expect(try decoder.next() == nil)
                #expect(decoder.unfinishedHeader?.stream == 9)
                decoder.skipPayload()
                #expect(decoder.unfinishedHeader == nil)
                #expect(decoder.unfinishedByteCount == FrameHeader.byteCount + 1000)
                var events: [FrameDecoder.Event] = []
                for start in stride(from: firstByteCount, to: bytes.count, by: pieceByteCount) {
                    decoder.feed(ByteBuffer(bytes: bytes[start..<min(start + pieceByteCount, bytes.count)]))
                    while let event = try decoder.next() { events.append(event) }
                }
                try #require(events.count == 2)
                guard case .skipped(let skipped) = events[0], case .frame(let next) = events[1] else {
                    Issue.record("after \(keptByteCount) bytes in pieces of \(pieceByteCount)")
                    return
                }
                #expect(skipped.stream == 9 && skipped.typeNumber == type)
                #expect(next.header.type == .pong && decoder.unfinishedByteCount == nil)
            }
        }
    }

    @Test func onlyAPayloadThatHasBegunIsSkipped() throws {
        var decoder = decoder()
        decoder.skipPayload()
        decoder.feed(ByteBuffer(bytes: try Wire.frameBytes(Ping())))
        guard case .frame(let frame) = try decoder.next() else {
            Issue.record("no ping")
            return
        }
        #expect(frame.header.type == .ping)
    }

    @Test func aClaimedLengthTakesNoMemoryBeforeItsBytesCome() throws {
        var decoder = decoder(limit: 256 << 20)
        let claimed: UInt32 = 200 << 20
        decoder.feed(ByteBuffer(bytes: try header(payloadByteCount: claimed, type: MessageType.enrolFaces.rawValue)))
        #expect(try decoder.next() == nil)
        #expect(decoder.unfinishedByteCount == Int(claimed) + FrameHeader.byteCount)
        let before = residentByteCount()
        for _ in 0..<8 {
            decoder.feed(ByteBuffer(repeating: 1, count: 64 << 10))
            #expect(try decoder.next() == nil)
        }
        #expect(residentByteCount() - before < 32 << 20)
    }

    @Test func aLargePayloadInManyPiecesIsWhole() throws {
        let bytes = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ $0 >> 8) }
        let message = InstallCodebook(
            shard: MessageSamples.shardID,
            epoch: MessageSamples.route.epoch,
            generation: 1,
            digest: [UInt8](repeating: 3, count: 32),
            slice: CodebookSlice(totalByteCount: 3_000_000, offset: 0, bytes: bytes)
        )
        let frames = try Wire.frameBytes(message) + Wire.frameBytes(Ping()) + Wire.frameBytes(message)
        for pieceByteCount in [1000, 65_536, 1 << 20] {
            let events = try Wire.frames(frames, pieceByteCount: pieceByteCount)
            try #require(events.count == 3)
            for index in [0, 2] {
                guard case .frame(let frame) = events[index] else {
                    Issue.record("frame \(index) is missing")
                    return
                }
                let read = try frame.decode(InstallCodebook.self, limits: Wire.limits)
                #expect(read.slice.bytes == bytes)
            }
        }
    }

    @Test func randomBytesEndInAnErrorOrAWait() {
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = SeededNumbers(seed: seed)
        for _ in 0..<20_000 {
            var decoder = decoder(isOpen: Bool.random(using: &numbers))
            let bytes = (0..<Int.random(in: 0...80, using: &numbers)).map { _ in
                UInt8.random(in: 0...255, using: &numbers)
            }
            decoder.feed(ByteBuffer(bytes: bytes))
            let event = try? decoder.next()
            #expect(event == nil, "seed \(seed)")
        }
    }
}
