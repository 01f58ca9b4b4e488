import NIOCore
import Testing
import WireProtocol

/// Deterministic numbers for tests; the seed is part of every failure's message.
struct SeededNumbers: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) {
        state = seed
    }

    /// SplitMix64 (Steele, Lea, Flood 2014).
    mutating func next() -> UInt64 {
        state &+= 0x9e37_79b9_7f4a_7c15
        var value = state
        value = (value ^ (value >> 30)) &* 0xbf58_476d_1ce4_e5b9
        value = (value ^ (value >> 27)) &* 0x94d0_49bb_1331_11eb
        return value ^ (value >> 31)
    }
}

enum Wire {
    static let limits = WireLimits()

    /// - Parameter laterFields: false for what the first revision of the protocol had.
    static func frameBytes(_ message: some WireMessage, laterFields: Bool = true) throws -> [UInt8] {
        let buffer = try Frame.encode(
            message,
            stream: 0x0102_0304_0506_0708,
            deadlineMicroseconds: 250_000,
            payloadLimit: limits.payloadByteCount,
            laterFields: laterFields
        )
        return Array(buffer.readableBytesView)
    }

    /// - Parameter laterFields: false for what the first revision of the protocol had.
    static func payloadBytes(_ message: some WireMessage, laterFields: Bool = true) -> [UInt8] {
        var writer = PayloadWriter(ByteBuffer(), laterFields: laterFields)
        message.encode(into: &writer)
        return Array(writer.buffer.readableBytesView)
    }

    /// Every frame in the bytes, fed in pieces of the given size.
    static func frames(_ bytes: [UInt8], pieceByteCount: Int, limit: UInt32 = 64 << 20) throws -> [FrameDecoder.Event] {
        var decoder = FrameDecoder(payloadLimit: limit, isOpen: true)
        var events: [FrameDecoder.Event] = []
        for start in stride(from: 0, to: bytes.count, by: pieceByteCount) {
            decoder.feed(ByteBuffer(bytes: bytes[start..<min(start + pieceByteCount, bytes.count)]))
            while let event = try decoder.next() { events.append(event) }
        }
        return events
    }

    /// Reads a payload as the given message's type.
    static func decode<M: WireMessage>(
        _ payload: [UInt8],
        like message: M,
        limits: WireLimits = limits,
        hasLaterFields: Bool = false
    ) throws(WireDecodingError) -> M {
        let header = FrameHeader(
            payloadByteCount: UInt32(payload.count),
            typeNumber: M.type.rawValue,
            stream: 1,
            payloadChecksum: 0
        )
        return try Frame(header: header, payload: ByteBuffer(bytes: payload), hasLaterFields: hasLaterFields)
            .decode(M.self, limits: limits)
    }

    /// The one frame in the bytes.
    static func frame(_ bytes: [UInt8]) throws -> Frame {
        let events = try frames(bytes, pieceByteCount: bytes.count)
        guard events.count == 1, case .frame(let frame) = events[0] else { throw NoFrame() }
        return frame
    }

    struct NoFrame: Error {}
}
