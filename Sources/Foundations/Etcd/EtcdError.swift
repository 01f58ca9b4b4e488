/// Why etcd did not do what was asked, or may not have.
package enum EtcdError: Error, Hashable, Sendable {
    /// Nothing was done: no member could be reached, or none has a leader. The reason has no full stop.
    case unavailable(reason: String)
    /// The request was sent and its answer lost: it may have been done, or may yet be.
    case outcomeUnknown(reason: String)
    /// A member understood and refused; nothing was done. The code is gRPC's.
    case refused(code: Int, message: String)
    /// The answer has another shape than the request asks for: the gateway speaks another protocol.
    case malformed(reason: String)
    /// The revision asked for is compacted; what came before this one can only be read as it is now.
    case compacted(revision: Int64)
    /// A file of the TLS identity cannot be used.
    case tls(reason: String)
}

extension EtcdError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unavailable(let reason): "etcd cannot be used: \(reason)"
        case .outcomeUnknown(let reason): "etcd did not answer: \(reason)"
        case .refused(let code, let message): "etcd refuses: \(message) (code \(code))"
        case .malformed(let reason): "etcd's answer cannot be read: \(reason)"
        case .compacted(let revision): "etcd has compacted its history up to revision \(revision)"
        case .tls(let reason): reason
        }
    }
}
