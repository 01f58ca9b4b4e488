package import NIOCore

/// One wire unit: a checked header and its payload, whose checksum was right.
package struct Frame: Hashable, Sendable {
    package var header: FrameHeader
    /// The message's fields.
    package var payload: ByteBuffer
    /// Nil of an untraced request, and of everything else.
    package var trace: TraceContext?
    /// Whether bytes may follow the fields that are known here: see ``WireFeatures/laterFields``.
    package var hasLaterFields: Bool

    package init(
        header: FrameHeader,
        payload: ByteBuffer,
        trace: TraceContext? = nil,
        hasLaterFields: Bool = false
    ) {
        self.header = header
        self.payload = payload
        self.trace = trace
        self.hasLaterFields = hasLaterFields
    }

    /// Reads the payload as a message.
    ///
    /// - Throws: what the first wrong field is; also when bytes are left over that may not be.
    package func decode<M: WireMessage>(_ type: M.Type, limits: WireLimits) throws(WireDecodingError) -> M {
        var reader = PayloadReader(payload, limits: limits)
        let message = try M(decoding: &reader)
        if !hasLaterFields { try reader.finish() }
        return message
    }

    /// One buffer that holds the message's whole frame.
    ///
    /// - Parameters:
    ///   - trace: only on connections with ``WireFeatures/traceContext``.
    ///   - laterFields: whether the peer takes fields that came after the first revision of version 1.
    /// - Throws: `limitExceeded` when a field or the payload is longer than the wire or `payloadLimit` allows.
    package static func encode(
        _ message: some WireMessage,
        stream: UInt64,
        deadlineMicroseconds: UInt64 = 0,
        payloadLimit: UInt32,
        trace: TraceContext? = nil,
        laterFields: Bool = true,
        allocator: ByteBufferAllocator = ByteBufferAllocator()
    ) throws(WireStatus) -> ByteBuffer {
        let traceByteCount = trace == nil ? 0 : TraceContext.byteCount
        var writer = PayloadWriter(
            allocator.buffer(capacity: FrameHeader.byteCount + traceByteCount + message.expectedByteCount),
            reservedByteCount: FrameHeader.byteCount + traceByteCount,
            laterFields: laterFields
        )
        message.encode(into: &writer)
        if let failure = writer.failure { throw failure }
        let type = Swift.type(of: message).type
        guard let byteCount = UInt32(exactly: traceByteCount + writer.payloadByteCount), byteCount <= payloadLimit
        else {
            throw WireStatus(
                .limitExceeded,
                "a \(type) message of \(writer.payloadByteCount) bytes is above this connection's limit of "
                    + "\(payloadLimit); ask for or send less at a time"
            )
        }
        var buffer = writer.take()
        trace?.write(to: &buffer, at: FrameHeader.byteCount)
        FrameHeader(
            payloadByteCount: byteCount,
            typeNumber: type.rawValue,
            flags: trace == nil ? 0 : FrameFlags.traced.rawValue,
            stream: stream,
            deadlineMicroseconds: deadlineMicroseconds,
            payloadChecksum: buffer.checksum(at: FrameHeader.byteCount, byteCount: Int(byteCount))
        ).write(to: &buffer, at: 0)
        return buffer
    }
}
