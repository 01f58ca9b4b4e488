/// Something with a form on the wire. Both directions are tables of fields in `docs/wire-protocol.md`.
package protocol WireValue {
    /// Fewest bytes that any value takes; bounds a claimed count before memory is taken for it.
    static var leastByteCount: Int { get }
    func encode(into writer: inout PayloadWriter)
    init(decoding reader: inout PayloadReader) throws(WireDecodingError)
}

/// The content of one frame.
package protocol WireMessage: Sendable {
    static var type: MessageType { get }
    /// About how many bytes the payload will take, so that its buffer need not grow.
    var expectedByteCount: Int { get }
    func encode(into writer: inout PayloadWriter)
    /// Reads the message and checks every range and limit it has; never traps, whatever the bytes.
    init(decoding reader: inout PayloadReader) throws(WireDecodingError)
}

extension WireMessage {
    package var expectedByteCount: Int { 480 }
}

/// A message that is answered by a reply or a status.
package protocol WireRequest: WireMessage {
    associatedtype Reply: WireMessage
    /// Whether it says, in a later field, what somebody has seen and nothing else is to come of it: whoever passes that
    /// over would do more. It is sent only on connections with ``WireFeatures/guards``.
    var needsGuards: Bool { get }
}

extension WireRequest {
    package var needsGuards: Bool { false }
}

/// A message without fields.
package protocol EmptyWireMessage: WireMessage {
    init()
}

extension EmptyWireMessage {
    package func encode(into writer: inout PayloadWriter) {}
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) { self.init() }
}
