package import NIOCore

/// Cuts a connection's bytes into frames: bytes in, frames out, no clock and no socket.
///
/// A header is checked, its length against the limit, before a byte of its payload is kept, and memory for a payload
/// follows what has arrived, not what was claimed. After a thrown error the decoder must not be fed again.
package struct FrameDecoder: Sendable {
    package enum Event: Hashable, Sendable {
        case frame(Frame)
        /// A sound frame of a type this build does not know, with flags it does not know, or with less payload than its
        /// flags say that it begins with; what there is was dropped.
        case unknown(FrameHeader)
        /// A frame whose payload was dropped as ``FrameDecoder/skipPayload()`` says.
        case skipped(FrameHeader)
    }

    private enum State: Sendable {
        /// Can move to: `payload`, `skipping`.
        case header
        /// Can move to: `header`, `skipping`.
        case payload(FrameHeader)
        /// Can move to: `header`.
        case skipping(FrameHeader, remaining: Int, isKnown: Bool)
    }

    /// Until this is set, only a `Hello` of at most `payloadLimit` bytes is let through.
    package private(set) var isOpen: Bool
    package private(set) var payloadLimit: UInt32
    /// What frames may be besides their type.
    private var flags: FrameFlags = []
    private var hasLaterFields = false
    private var state = State.header
    private var unread = ByteBuffer()

    /// Payload memory is reserved in steps that begin here.
    private static let firstReservation = 1 << 20

    /// - Parameter isOpen: false for the accepting side, which awaits a hello.
    package init(payloadLimit: UInt32, isOpen: Bool) {
        self.payloadLimit = payloadLimit
        self.isOpen = isOpen
    }

    /// Lifts the restriction to a hello.
    ///
    /// - Parameter features: those of the connection.
    package mutating func open(payloadLimit: UInt32, features: WireFeatures = []) {
        self.payloadLimit = payloadLimit
        flags = features.frameFlags
        hasLaterFields = features.contains(.laterFields)
        isOpen = true
    }

    /// Size of the frame that has begun and is not whole, as far as it is known; nil when none has begun.
    package var unfinishedByteCount: Int? {
        switch state {
        case .header: unread.readableBytes > 0 ? FrameHeader.byteCount : nil
        case .payload(let header), .skipping(let header, _, _): FrameHeader.byteCount + Int(header.payloadByteCount)
        }
    }

    /// Header of the frame whose payload is being kept and is not whole; nil when there is none.
    package var unfinishedHeader: FrameHeader? {
        if case .payload(let header) = state { header } else { nil }
    }

    /// Drops the payload that is being kept and is not whole: what has come of it, and what comes yet.
    package mutating func skipPayload() {
        guard case .payload(let header) = state else { return }
        state = .skipping(header, remaining: Int(header.payloadByteCount) - unread.readableBytes, isKnown: true)
        unread = ByteBuffer()
    }

    /// Takes bytes as they come from the connection.
    package mutating func feed(_ bytes: ByteBuffer) {
        if unread.readableBytes == 0 {
            unread = bytes
        } else {
            reserve(for: bytes.readableBytes)
            unread.writeImmutableBuffer(bytes)
        }
    }

    /// The next frame of what was fed; nil when more bytes are needed.
    package mutating func next() throws(FrameError) -> Event? {
        while true {
            switch state {
            case .header:
                if !isOpen { try checkBeginning() }
                guard let header = try FrameHeader(peeking: unread) else { return nil }
                try check(header)
                unread.moveReaderIndex(forwardBy: FrameHeader.byteCount)
                if header.type == nil || !flags.isSuperset(of: header.frameFlags) || header.lacksTrace {
                    state = .skipping(header, remaining: Int(header.payloadByteCount), isKnown: false)
                } else {
                    state = .payload(header)
                }
            case .payload(let header):
                guard var payload = unread.readSlice(length: Int(header.payloadByteCount)) else { return nil }
                guard
                    payload.checksum(at: payload.readerIndex, byteCount: payload.readableBytes)
                        == header.payloadChecksum
                else { throw .payloadChecksum(stream: header.stream) }
                finishFrame()
                let trace = header.frameFlags.contains(.traced) ? TraceContext(taking: &payload) : nil
                return .frame(
                    Frame(header: header, payload: payload, trace: trace, hasLaterFields: hasLaterFields)
                )
            case .skipping(let header, let remaining, let isKnown):
                let byteCount = min(remaining, unread.readableBytes)
                unread.moveReaderIndex(forwardBy: byteCount)
                guard byteCount == remaining else {
                    state = .skipping(header, remaining: remaining - byteCount, isKnown: isKnown)
                    unread = ByteBuffer()
                    return nil
                }
                finishFrame()
                return isKnown ? .skipped(header) : .unknown(header)
            }
        }
    }

    private mutating func finishFrame() {
        state = .header
        if unread.readableBytes == 0 { unread = ByteBuffer() }
    }

    /// Tells a stranger by its first bytes, without waiting for a whole header.
    private func checkBeginning() throws(FrameError) {
        guard
            let (length, type) = unread.getInteger(at: unread.readerIndex, endianness: .little, as: UInt32.self)
                .map({ ($0, unread.getInteger(at: unread.readerIndex + 4, endianness: .little, as: UInt16.self)) })
        else { return }
        let isHello = type == nil || type == MessageType.hello.rawValue
        if length > payloadLimit || !isHello { throw .notHello(firstBytes: length) }
    }

    private func check(_ header: FrameHeader) throws(FrameError) {
        if header.payloadByteCount > payloadLimit {
            throw .payloadLimit(
                stream: header.stream,
                byteCount: header.payloadByteCount,
                limit: payloadLimit
            )
        }
    }

    /// Makes room behind what is unread: by doubling, up to the frame's own size, so that a claimed length alone costs
    /// no memory and consumed bytes are let go.
    private mutating func reserve(for byteCount: Int) {
        guard unread.writerIndex + byteCount > unread.capacity else { return }
        let needed = unread.readableBytes + byteCount
        var capacity = needed
        if case .payload(let header) = state {
            capacity = max(needed, min(Int(header.payloadByteCount), max(2 * needed, Self.firstReservation)))
        }
        var larger = ByteBufferAllocator().buffer(capacity: capacity)
        larger.writeImmutableBuffer(unread)
        unread = larger
    }
}
