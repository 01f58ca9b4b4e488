import ClusterModel
import Synchronization
import WireProtocol

/// Workers that were lost while one request was under way there: perhaps they died of it.
///
/// One may have died of anything, and then another answers. After two the request is sent to nobody any more, so that
/// one that kills workers does not go on through all replicas.
package struct LostWorkers: Sendable {
    private static let limit = 2

    private var workers: Set<NodeID> = []

    package init() {}

    mutating func note(_ worker: NodeID) { workers.insert(worker) }

    /// Whether the request is not sent on.
    package var areTooMany: Bool { workers.count >= Self.limit }

    /// Why the request is not sent any more; nil while it may be.
    var refusal: WireStatus? {
        guard areTooMany else { return nil }
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

/// Those of a request whose shards are asked by several tasks.
final class SharedLosses: Sendable {
    private let workers = Mutex(LostWorkers())

    /// - Parameter didGiveUp: called when the request is not sent on from now on.
    func withLock<R: Sendable>(_ body: (inout LostWorkers) -> R, didGiveUp: () -> Void) -> R {
        let (result, hasGivenUp) = workers.withLock { workers in
            let wereTooMany = workers.areTooMany
            let result = body(&workers)
            return (result, workers.areTooMany && !wereTooMany)
        }
        if hasGivenUp { didGiveUp() }
        return result
    }

    var current: LostWorkers { workers.withLock { $0 } }
}
