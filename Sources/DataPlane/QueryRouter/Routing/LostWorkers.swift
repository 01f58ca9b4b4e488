import ClusterModel
import Synchronization
import WireProtocol

/// Workers that were lost while one request was under way there: perhaps they died of it.
///
/// One may have died of anything, and then another answers. After two the request is sent to nobody any more, so that
/// one that kills workers does not go on through all replicas.
final class LostWorkers: Sendable {
    private static let limit = 2

    private let workers = Mutex<Set<NodeID>>([])

    /// - Returns: whether this is the one after which the request is not sent on.
    func note(_ worker: NodeID) -> Bool {
        workers.withLock { $0.insert(worker).inserted && $0.count == Self.limit }
    }

    /// Why the request is not sent any more; nil while it may be.
    var refusal: WireStatus? {
        guard workers.withLock({ $0.count }) >= Self.limit else { return nil }
        return WireStatus(
            .internalError,
            "the connections to \(Self.limit) workers were lost while this request was under way there; it is not sent "
                + "on, since it may be what they died of"
        )
    }

    /// Why a request that was under way there is not taken again for so long.
    static func refusal(for time: Duration) -> WireStatus {
        WireStatus(
            .internalError,
            "the connections to \(limit) workers were lost while this request was under way there before; it is not "
                + "taken for another \(time.components.seconds + 1) s, since it may be what they died of; the logs of "
                + "the workers tell more"
        )
    }
}
