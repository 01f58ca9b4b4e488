/// A frame as `docs/wire-protocol.md` describes it, written without the project's own codec.
struct WireFrame {
    var type: UInt16
    var payload: [UInt8]
    var stream: UInt64 = 1

    /// A hello of a client without a token.
    static var hello: WireFrame {
        var payload = Array("MIEN".utf8)
        payload += littleEndian(UInt16(1)) + littleEndian(UInt16(1)) + littleEndian(UInt64(0)) + [1]
        payload += littleEndian(UInt16(0))
        let agent = Array("story/1".utf8)
        payload += littleEndian(UInt16(agent.count)) + agent
        return WireFrame(type: 1, payload: payload)
    }

    var bytes: [UInt8] { headerOnly(promising: UInt32(payload.count)) + payload }

    /// The header of a frame that promises so many bytes of payload; its own checksum is right.
    func headerOnly(promising byteCount: UInt32) -> [UInt8] {
        var header = Self.littleEndian(byteCount) + Self.littleEndian(type) + [0, 0]
        header += Self.littleEndian(stream) + Self.littleEndian(UInt64(0))
        header += Self.littleEndian(Self.checksum(payload))
        return header + Self.littleEndian(Self.checksum(header))
    }

    /// Whether bytes end before the frame does that they begin with.
    static func isUnfinished(_ bytes: [UInt8]) -> Bool {
        let payloadByteCount = bytes.prefix(4).reversed().reduce(0 as Int) { $0 * 256 + Int($1) }
        return bytes.count < 32 + payloadByteCount
    }

    /// CRC-32C, bit by bit.
    private static func checksum(_ bytes: [UInt8]) -> UInt32 {
        var sum = UInt32.max
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum >> 1 ^ (sum & 1 == 1 ? 0x82F6_3B78 : 0) }
        }
        return ~sum
    }

    private static func littleEndian<T: FixedWidthInteger>(_ value: T) -> [UInt8] {
        withUnsafeBytes(of: value.littleEndian, Array.init)
    }
}
