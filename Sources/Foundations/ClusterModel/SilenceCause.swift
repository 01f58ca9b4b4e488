/// What came of calling a worker that is not heard of any more: the likely cause of its silence.
///
/// It is for people. Nothing is decided by it, since a port that refuses does not prove that the lease of a primary
/// behind it has ended (docs/decisions/0043-why-a-worker-is-silent.md).
package enum SilenceCause: UInt8, Hashable, Sendable, CaseIterable {
    /// It has not been called, or is heard of.
    case unknown = 0
    /// Its machine is there, and nobody listens at its port.
    case notRunning = 1
    /// The connection is taken, by its machine, and the hello is not answered.
    case hanging = 2
    /// No connection to its address comes about, for whatever reason lies on the way there or on this side.
    case unreachable = 3
    /// One side refuses the other.
    case refused = 4
    /// The connection is taken, and closed in place of an answer.
    case closed = 5
    /// It answers.
    case answering = 6
    /// Another node answers.
    case replaced = 7

    /// As a clause for people; nil where there is nothing to say.
    package var clause: String? {
        switch self {
        case .unknown: nil
        case .notRunning: "its port refuses connections: the process is not running"
        case .hanging: "it takes connections and does not say hello: the process hangs"
        case .unreachable:
            "no connection to its address comes about: its machine, the network or the name's resolution is down, or "
                + "this coordinator has no files left"
        case .refused: "the hello is refused: TLS, token or version are not those of this coordinator"
        case .closed:
            "its address closes connections: it is ending or has too many, does not use TLS as this coordinator does, "
                + "or a proxy before it is cut off"
        case .answering: "it answers calls: its heartbeats do not come through"
        case .replaced: "another node answers at its address"
        }
    }
}
