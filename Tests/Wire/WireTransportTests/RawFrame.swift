import Checksum
import NIOCore
import WireProtocol

/// Frames whose fields are a test's own choice.
enum RawFrame {
    static func bytes(
        payloadByteCount: UInt32? = nil,
        type: UInt16,
        flags: UInt16 = 0,
        stream: UInt64 = 5,
        deadlineMicroseconds: UInt64 = 0,
        payload: [UInt8] = []
    ) throws -> [UInt8] {
        var frame = ByteBuffer()
        frame.writeInteger(payloadByteCount ?? UInt32(payload.count), endianness: .little)
        frame.writeInteger(type, endianness: .little)
        frame.writeInteger(flags, endianness: .little)
        frame.writeInteger(stream, endianness: .little)
        frame.writeInteger(deadlineMicroseconds, endianness: .little)
        frame.writeInteger(payload.withUnsafeBytes { CRC32C.checksum($0) }, endianness: .little)
        frame.writeInteger(frame.withUnsafeReadableBytes { CRC32C.checksum($0) }, endianness: .little)
        return Array(frame.readableBytesView) + payload
    }

    static func first(_ bytes: [UInt8]) throws -> Frame {
        var decoder = FrameDecoder(payloadLimit: 64 << 20, isOpen: true)
        decoder.feed(ByteBuffer(bytes: bytes))
        guard case .frame(let frame) = try decoder.next() else { throw NoFrame() }
        return frame
    }

    struct NoFrame: Error {}
}

extension WireMessage {
    var payload: [UInt8] {
        var writer = PayloadWriter(ByteBuffer())
        encode(into: &writer)
        return Array(writer.buffer.readableBytesView)
    }
}
