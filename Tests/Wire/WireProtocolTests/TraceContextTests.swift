import Checksum
import NIOCore
import Testing
import WireProtocol

/// Requests that are parts of a trace.
struct TraceContextTests {
    private static let traceparent = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    /// DescribeCollection of `people` in that trace, as in `docs/wire-protocol.md`.
    private static let golden = """
        2800000002010100080706050403020190d0030000000000154a735c262119e1
        4bf92f3577b34da6a3ce929d0e0e473600f067aa0ba902b70100000000000000
        060070656f706c65
        """

    private static var bytes: [UInt8] {
        let digits = Array(golden.utf8.filter { $0 != UInt8(ascii: "\n") })
        return stride(from: 0, to: digits.count, by: 2).map {
            UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16)!
        }
    }

    private func decode(_ bytes: [UInt8], features: WireFeatures) throws -> FrameDecoder.Event? {
        var decoder = FrameDecoder(payloadLimit: 4096, isOpen: true)
        decoder.open(payloadLimit: 4096, features: features)
        for byte in bytes.dropLast() {
            decoder.feed(ByteBuffer(bytes: [byte]))
            #expect(try decoder.next() == nil)
        }
        decoder.feed(ByteBuffer(bytes: bytes.suffix(1)))
        return try decoder.next()
    }

    @Test func aTracedRequestHasItsGoldenBytes() throws {
        let frame = try Frame.encode(
            DescribeCollection(name: "people"),
            stream: 0x0102_0304_0506_0708,
            deadlineMicroseconds: 250_000,
            payloadLimit: 4096,
            trace: TraceContext(traceparent: Self.traceparent)
        )
        #expect(Array(frame.readableBytesView) == Self.bytes)
    }

    @Test func itIsReadWhereBothSidesKnowHow() throws {
        guard case .frame(let frame) = try decode(Self.bytes, features: .traceContext) else {
            Issue.record("the frame is not known")
            return
        }
        #expect(frame.trace?.traceparent == Self.traceparent)
        #expect(try frame.decode(DescribeCollection.self, limits: WireLimits()).name == "people")
    }

    /// A peer that never said that it may: its frame is skipped, and the next one read.
    @Test func itIsUnknownElsewhere() throws {
        guard case .unknown(let header) = try decode(Self.bytes, features: []) else {
            Issue.record("flags of no feature are not known")
            return
        }
        #expect(header.flags == 1 && header.type == .describeCollection)
    }

    /// A frame whose flags say that it is traced, with a payload of so many zeros.
    private func traced(_ message: some WireMessage, zeroCount: Int) throws -> [UInt8] {
        let sound = try Frame.encode(message, stream: 3, payloadLimit: 4096)
        var header = Array(sound.readableBytesView.prefix(FrameHeader.byteCount))
        let bytes = [UInt8](repeating: 0, count: zeroCount)
        header[0] = UInt8(zeroCount)
        header[6] = 1
        let checksum = bytes.withUnsafeBytes { CRC32C.checksum($0) }
        withUnsafeBytes(of: checksum.littleEndian) { header.replaceSubrange(24..<28, with: $0) }
        ChecksumFixture.seal(&header)
        return header + bytes
    }

    /// Whatever the message is: also one without a field, for which nothing is too short.
    @Test(arguments: [31, 8, 0])
    func whatIsTooShortForATraceIsSkipped(byteCount: Int) throws {
        for bytes in [
            try traced(ListCollections(), zeroCount: byteCount), try traced(Ping(), zeroCount: byteCount),
        ] {
            guard case .unknown(let header)? = try decode(bytes, features: .traceContext) else {
                Issue.record("a frame of \(byteCount) bytes is taken for a traced one")
                continue
            }
            #expect(header.lacksTrace && header.stream == 3)
        }
    }

    @Test func idsOfZeroNameNothing() throws {
        for zeroCount in [32, 33] {
            let traced = try #require(TraceContext(traceparent: Self.traceparent))
            let sound = try Frame.encode(Ping(), stream: 3, payloadLimit: 4096, trace: traced)
            guard case .frame(let read)? = try decode(Array(sound.readableBytesView), features: .traceContext) else {
                Issue.record("a traced ping is a frame")
                continue
            }
            #expect(read.trace == traced && read.payload.readableBytes == 0)
            let bytes = try self.traced(Ping(), zeroCount: zeroCount)
            guard case .frame(let frame)? = try decode(bytes, features: .traceContext) else {
                Issue.record("a frame that names no trace is a frame")
                continue
            }
            #expect(frame.trace == nil && frame.payload.readableBytes == zeroCount - TraceContext.byteCount)
        }
    }

    @Test(arguments: [
        "", "00", "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
        "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
        "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
        "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
    ])
    func textThatIsNoTraceparentIsNone(text: String) {
        #expect(TraceContext(traceparent: text) == nil)
    }

    @Test func laterVersionsMayHaveMore() {
        let later = TraceContext(traceparent: "01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more")
        #expect(later?.traceparent == Self.traceparent)
    }
}
