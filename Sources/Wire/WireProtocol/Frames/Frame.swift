package import NIOCore

/// One wire unit: a checked header and its payload, whose checksum was right.
package struct Frame: Hashable, Sendable {
    package var header: FrameHeader
    package var payload: ByteBuffer

    package init(header: FrameHeader, payload: ByteBuffer) {
        self.header = header
        self.payload = payload
    }

    /// Reads the payload as a message.
    ///
    /// - Throws: what the first wrong field is; also when bytes are left over.
    package func decode<M: WireMessage>(_ type: M.Type, limits: WireLimits) throws(WireDecodingError) -> M {
        var reader = PayloadReader(payload, limits: limits)
        let message = try M(decoding: &reader)
        try reader.finish()
        return message
    }

    /// One buffer that holds the message's whole frame.
    ///
    /// - Throws: `limitExceeded` when a field or the payload is longer than the wire or `payloadLimit` allows.
    package static func encode(
        _ message: some WireMessage,
        stream: UInt64,
        deadlineMicroseconds: UInt64 = 0,
        payloadLimit: UInt32,
        allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) throws(WireStatus) -> ByteBuffer {
        var writer = PayloadWriter(
            allocator.buffer(capacity: FrameHeader.byteCount + message.expectedByteCount),
            reservedByteCount: FrameHeader.byteCount
        )
        message.encode(into: &writer)
        if let failure = writer.failure { throw failure }
        let type = Swift.type(of: message).type
        guard let byteCount = UInt32(exactly: writer.payloadByteCount), byteCount <= payloadLimit else {
            throw WireStatus(
                .limitExceeded,
                "a \(type) message of \(writer.payloadByteCount) bytes is above this connection's limit of "
                    + "\(payloadLimit); ask for or send less at a time"
            )
        }
        var buffer = writer.buffer
        FrameHeader(
            payloadByteCount: byteCount,
            typeNumber: type.rawValue,
            stream: stream,
            deadlineMicroseconds: deadlineMicroseconds,
            payloadChecksum: buffer.checksum(at: FrameHeader.byteCount, byteCount: Int(byteCount))
        ).write(to: &buffer, at: 0)
        return buffer
    }
}
