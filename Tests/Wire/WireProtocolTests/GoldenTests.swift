import Foundation
import NIOCore
import Testing
import WireProtocol

/// Golden bytes: `Golden/<type>.hex` holds the whole frame of each message of ``MessageSamples``.
///
/// A change of these files is a change of the protocol. They are written anew by
/// `MIEN_WRITE_GOLDEN=1 swift test -c release --filter filesAreWrittenWhenAskedFor`.
struct GoldenTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Golden")

    private static func golden(_ type: MessageType) throws -> [UInt8] {
        try bytes(folder.appendingPathComponent("\(type).hex"))
    }

    /// The payload as the first revision of the protocol had it: a file of its own for a message that has got fields at
    /// its end since.
    private static func firstPayload(_ type: MessageType) throws -> [UInt8] {
        let own = folder.appendingPathComponent("\(type)-first.hex")
        let frame = try FileManager.default.fileExists(atPath: own.path) ? bytes(own) : golden(type)
        return Array(frame[FrameHeader.byteCount...])
    }

    private static func bytes(_ file: URL) throws -> [UInt8] {
        let text = try String(contentsOf: file, encoding: .utf8)
        let digits = text.utf8.filter { $0 != UInt8(ascii: "\n") }
        try #require(digits.count % 2 == 0)
        return try stride(from: 0, to: digits.count, by: 2).map {
            try #require(UInt8(String(decoding: digits[$0..<$0 + 2], as: UTF8.self), radix: 16))
        }
    }

    private static func hex(_ bytes: [UInt8]) -> String {
        let digits = bytes.map { String(format: "%02x", $0) }
        return stride(from: 0, to: digits.count, by: 32)
            .map { digits[$0..<min($0 + 32, digits.count)].joined() + "\n" }.joined()
    }

    private static func check(_ body: (any WireMessage, [UInt8]) throws -> Void) throws {
        for message in MessageSamples.all { try body(message, golden(type(of: message).type)) }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["MIEN_WRITE_GOLDEN"] == "1"))
    func filesAreWrittenWhenAskedFor() throws {
        for message in MessageSamples.all {
            let file = Self.folder.appendingPathComponent("\(type(of: message).type).hex")
            try Self.hex(Wire.frameBytes(message)).write(to: file, atomically: true, encoding: .utf8)
            guard Wire.payloadBytes(message, laterFields: false) != Wire.payloadBytes(message) else { continue }
            let first = Self.folder.appendingPathComponent("\(type(of: message).type)-first.hex")
            try Self.hex(Wire.frameBytes(message, laterFields: false)).write(
                to: first,
                atomically: true,
                encoding: .utf8
            )
        }
    }

    @Test func everyMessageTypeHasOneSample() {
        let types = MessageSamples.all.map { type(of: $0).type }
        #expect(Set(types) == Set(MessageType.allCases))
        #expect(types.count == MessageType.allCases.count)
    }

    @Test func messagesEncodeToTheirGoldenBytes() throws {
        try Self.check { message, golden in
            let bytes = try Wire.frameBytes(message)
            #expect(bytes == golden, "\(type(of: message).type)")
        }
    }

    @Test(arguments: [1, 2, 3, 31, 33, 1 << 20])
    func goldenBytesDecodeInPiecesOf(byteCount: Int) throws {
        try Self.check { message, golden in
            let events = try Wire.frames(golden, pieceByteCount: byteCount)
            try #require(events.count == 1)
            guard case .frame(let frame) = events[0] else {
                Issue.record("\(type(of: message).type) is not known")
                return
            }
            #expect(frame.header.type == type(of: message).type)
            #expect(frame.header.stream == 0x0102_0304_0506_0708)
            #expect(frame.header.deadlineMicroseconds == 250_000)
            let decoded = try Wire.decode(Array(frame.payload.readableBytesView), like: message)
            let bytes = try Wire.frameBytes(decoded)
            #expect(bytes == golden, "\(type(of: message).type)")
        }
    }

    @Test func allGoldenBytesInOneStreamDecodeInOrder() throws {
        let stream = try MessageSamples.all.flatMap { try Self.golden(type(of: $0).type) }
        for byteCount in [1, 97, 4096, stream.count] {
            let types = try Wire.frames(stream, pieceByteCount: byteCount).map { event -> MessageType? in
                if case .frame(let frame) = event { frame.header.type } else { nil }
            }
            #expect(types == MessageSamples.all.map { type(of: $0).type })
        }
    }

    @Test func everyRequestSampleIsReadAsARequestAndNothingElseIs() throws {
        for message in MessageSamples.all {
            let frame = try Wire.frame(Wire.frameBytes(message))
            let request = try Request(frame, limits: Wire.limits)
            #expect((request != nil) == type(of: message).type.isRequest, "\(type(of: message).type)")
            let isWireRequest = message is any WireRequest
            let staysInTransport = message is Hello || message is Ping
            #expect(isWireRequest == (type(of: message).type.isRequest || staysInTransport))
        }
    }

    @Test func truncatedFramesAreAwaitedNotRead() throws {
        try Self.check { message, golden in
            for byteCount in 0..<golden.count where byteCount > 0 {
                let events = try Wire.frames(Array(golden[..<byteCount]), pieceByteCount: byteCount)
                #expect(events.isEmpty, "\(type(of: message).type) of \(byteCount) bytes")
            }
        }
    }

    @Test func truncatedPayloadsAreRefused() throws {
        try Self.check { message, golden in
            let payload = Array(golden[FrameHeader.byteCount...])
            // It may end where it ended before it got the fields that it has now.
            let firstByteCount = try Self.firstPayload(type(of: message).type).count
            for byteCount in payload.indices where byteCount != firstByteCount {
                // Of two fields that came one after the other the second may be missing as well.
                if message is HeartbeatReply, [1, 1 + 40, 1 + 40 + 17].contains(payload.count - byteCount) { continue }
                if message is FacePage, payload.count - byteCount == 17 { continue }
                if message is OperationList, [2 * 24, 2 * 24 + 2 * 12].contains(payload.count - byteCount) { continue }
                if message is ShardRecovered, payload.count - byteCount == 4 + 16 { continue }
                if message is ClusterStatus, [24, 24 + 1, 24 + 1 + 8].contains(payload.count - byteCount) { continue }
                let ofHeartbeat = [32, 64, 64 + 8, 64 + 8 + 32, 64 + 8 + 32 + 24, 64 + 8 + 32 + 24 + 58]
                if message is Heartbeat, ofHeartbeat.contains(payload.count - byteCount) { continue }
                #expect(throws: WireDecodingError.self, "\(type(of: message).type) of \(byteCount) bytes") {
                    try Wire.decode(Array(payload[..<byteCount]), like: message)
                }
            }
        }
    }

    @Test func trailingBytesAreRefused() throws {
        try Self.check { message, golden in
            let payload = Array(golden[FrameHeader.byteCount...]) + [0]
            #expect(throws: WireDecodingError.trailingBytes(count: 1), "\(type(of: message).type)") {
                try Wire.decode(payload, like: message)
            }
        }
    }

    // MARK: Peers of other builds

    /// What the first build sent is read by this one, and this one sends it nothing else.
    @Test func messagesAreThoseOfTheFirstRevisionForWhoKnowsNoOther() throws {
        try Self.check { message, _ in
            let first = try Self.firstPayload(type(of: message).type)
            #expect(Wire.payloadBytes(message, laterFields: false) == first, "\(type(of: message).type)")
            for hasLaterFields in [false, true] {
                let read = try Wire.decode(first, like: message, hasLaterFields: hasLaterFields)
                #expect(Wire.payloadBytes(read, laterFields: false) == first, "\(type(of: message).type)")
            }
        }
    }

    @Test func whatALaterBuildAddsIsPassedOverWhereTheHelloSaidSo() throws {
        try Self.check { message, golden in
            let payload = Array(golden[FrameHeader.byteCount...])
            let later = payload + [7, 0, 255]
            let read = try Wire.decode(later, like: message, hasLaterFields: true)
            #expect(Wire.payloadBytes(read) == payload, "\(type(of: message).type)")
            #expect(throws: WireDecodingError.trailingBytes(count: 3), "\(type(of: message).type)") {
                try Wire.decode(later, like: message)
            }
        }
    }

    @Test func laterFieldsAreWhatAMessageMeansWithoutThem() throws {
        let message = try #require(MessageSamples.all.lazy.compactMap { $0 as? HeartbeatReply }.first)
        #expect(!message.heldCollections.isEmpty)
        let read = try Wire.decode(Wire.payloadBytes(message, laterFields: false), like: message)
        #expect(read.heldCollections.isEmpty && read.recordAge == message.recordAge)
        #expect(message.run != nil && read.run == nil)
        #expect(!message.heldCopies.isEmpty && read.heldCopies.isEmpty)
        #expect(message.omitsGroups && !read.omitsGroups)
        let drop = try #require(MessageSamples.all.lazy.compactMap { $0 as? DropReplica }.first)
        let dropRead = try Wire.decode(Wire.payloadBytes(drop, laterFields: false), like: drop)
        // Whoever does not say is not obeyed as if nothing could be lost.
        #expect(drop.groupVersion != nil && dropRead.groupVersion == nil)
        let gone = DropReplica(shard: drop.shard, epoch: drop.epoch)
        #expect(try Wire.decode(Wire.payloadBytes(gone), like: gone).groupVersion == 0)
        let abandon = AbandonSuccessor(shard: drop.shard, sparesSealed: false)
        let abandonRead = try Wire.decode(Wire.payloadBytes(abandon), like: abandon)
        let abandonUntold = try Wire.decode(Wire.payloadBytes(abandon, laterFields: false), like: abandon)
        #expect(!abandonRead.sparesSealed && abandonUntold.sparesSealed)
    }

    @Test func whoConfirmsNothingTakesWhateverComesOfADecree() throws {
        let accept = try #require(MessageSamples.all.lazy.compactMap { $0 as? AcceptRecord }.first)
        let acceptRead = try Wire.decode(Wire.payloadBytes(accept, laterFields: false), like: accept)
        #expect(accept.confirmed != nil && acceptRead.confirmed == nil)
        let recover = try #require(MessageSamples.all.lazy.compactMap { $0 as? RecoverShard }.first)
        let recoverRead = try Wire.decode(Wire.payloadBytes(recover, laterFields: false), like: recover)
        #expect(recover.confirmed != nil && recoverRead.confirmed == nil)
        // What was told by who does not tell the epoch cannot be confirmed.
        let recovered = try #require(MessageSamples.all.lazy.compactMap { $0 as? ShardRecovered }.first)
        let recoveredRead = try Wire.decode(Wire.payloadBytes(recovered, laterFields: false), like: recovered)
        #expect(recovered.epoch != nil && recoveredRead.epoch == nil)
        #expect(!recovered.away.isEmpty && recoveredRead.away.isEmpty)
    }

    @Test func everyStandingOfACoordinatorIsReadAsItWasWritten() throws {
        var heartbeat = try #require(MessageSamples.all.lazy.compactMap { $0 as? Heartbeat }.first)
        let standings: [CoordinatorStanding] = [.untold, .none, .follows(run: heartbeat.worker), heartbeat.standing]
        for standing in standings {
            heartbeat.standing = standing
            #expect(try Wire.decode(Wire.payloadBytes(heartbeat), like: heartbeat) == heartbeat)
        }
        let without = try Wire.decode(Wire.payloadBytes(heartbeat, laterFields: false), like: heartbeat)
        #expect(without.standing == .untold && without.report.copyRefusals.isEmpty)
        #expect(!heartbeat.report.copyRefusals.isEmpty)
        #expect(without.report.stuckShards.isEmpty && !heartbeat.report.stuckShards.isEmpty)
        #expect(without.report.searchedRows.isEmpty && !heartbeat.report.searchedRows.isEmpty)
        #expect(without.report.promisedEpochs.isEmpty && !heartbeat.report.promisedEpochs.isEmpty)
        #expect(without.report.appliedEpochs.isEmpty && !heartbeat.report.appliedEpochs.isEmpty)
        #expect(without.report.copyBytesPerSecond == 0 && heartbeat.report.copyBytesPerSecond > 0)
    }

    @Test func everyCorruptedByteOfAFrameIsNoticed() throws {
        try Self.check { message, golden in
            for index in golden.indices {
                for mask: UInt8 in [0x01, 0x80, 0xff] {
                    var bytes = golden
                    bytes[index] ^= mask
                    // A longer payload length makes the decoder wait; anything else must be refused.
                    if let events = try? Wire.frames(bytes, pieceByteCount: bytes.count) {
                        #expect(events.isEmpty, "\(type(of: message).type), byte \(index) ^ \(mask)")
                    }
                }
            }
        }
    }

    /// With checksums out of the way: whatever the bytes, the codec refuses them or reads a message it can write again.
    @Test func corruptedPayloadsAreRefusedOrReadButNeverTrap() throws {
        var readCount = 0
        var refusedCount = 0
        try Self.check { message, golden in
            let payload = Array(golden[FrameHeader.byteCount...])
            for index in payload.indices {
                for value: UInt8 in [0x00, 0x01, 0x7f, 0x80, 0xff, payload[index] ^ 0x01, payload[index] &+ 1] {
                    var bytes = payload
                    bytes[index] = value
                    if try Self.readAgain(bytes, like: message) {
                        readCount += 1
                    } else {
                        refusedCount += 1
                    }
                }
            }
        }
        #expect(readCount > 1000)
        #expect(refusedCount > 1000)
    }

    @Test func randomPayloadsAreRefusedOrReadButNeverTrap() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = SeededNumbers(seed: seed)
        for message in MessageSamples.all {
            for _ in 0..<400 {
                let byteCount = Int.random(in: 0...300, using: &numbers)
                // Mostly small bytes: counts and flags that lead deep into the message.
                let bytes = (0..<byteCount).map { _ in
                    Bool.random(using: &numbers)
                        ? UInt8.random(in: 0...2, using: &numbers) : UInt8.random(in: 0...255, using: &numbers)
                }
                _ = try Self.readAgain(bytes, like: message, "seed \(seed)")
            }
        }
    }

    @Test func splicedPayloadsAreRefusedOrReadButNeverTrap() throws {
        let seed = UInt64.random(in: 0 ... .max)
        var numbers = SeededNumbers(seed: seed)
        try Self.check { message, golden in
            let payload = Array(golden[FrameHeader.byteCount...])
            if payload.isEmpty { return }
            for _ in 0..<300 {
                var bytes = payload
                for _ in 0..<Int.random(in: 1...4, using: &numbers) where !bytes.isEmpty {
                    let index = Int.random(in: bytes.indices, using: &numbers)
                    switch Int.random(in: 0...3, using: &numbers) {
                    case 0: bytes[index] = UInt8.random(in: 0...255, using: &numbers)
                    case 1: bytes.removeSubrange(index..<Int.random(in: index...bytes.count, using: &numbers))
                    case 2: bytes.insert(contentsOf: payload.prefix(index), at: index)
                    default:
                        let end = min(index + 4, bytes.count)
                        bytes.replaceSubrange(index..<end, with: [0xff, 0xff, 0xff, 0x7f].prefix(end - index))
                    }
                }
                _ = try Self.readAgain(bytes, like: message, "seed \(seed)")
            }
        }
    }

    /// - Returns: whether the bytes were read; what was read must survive being written and read once more.
    private static func readAgain(
        _ payload: [UInt8],
        like message: any WireMessage,
        _ comment: String = ""
    ) throws -> Bool {
        let decoded: any WireMessage
        do throws(WireDecodingError) {
            decoded = try Wire.decode(payload, like: message)
        } catch {
            #expect(!error.description.isEmpty && error.wireStatus.code.retry == .doNotRetry)
            return false
        }
        let written = Wire.payloadBytes(decoded)
        let again = try Wire.decode(written, like: decoded)
        #expect(Wire.payloadBytes(again) == written, "\(type(of: message).type) \(comment)")
        return true
    }
}
