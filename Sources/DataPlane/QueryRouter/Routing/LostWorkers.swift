import ClusterModel
import Synchronization
import WireProtocol

/// Workers that were lost while one request was under way there: perhaps they died of it.
///
/// One may have died of anything, and then another answers. After two the request is sent to nobody any more, so that
/// one that kills workers does not go on through all replicas.
///
/// Two that were asked at once may as well have been lost together, as when a rack fails: then whoever sent the request
/// may send it once more, and it is suspected. It asks its shards in turn then, and one more loss is enough.
package struct LostWorkers: Sendable {
    private static let limit = 2

    private var workers: Set<NodeID> = []
    /// One of them was asked after another had been lost.
    private var wereLostInTurn = false
    /// Whether workers were lost under the request before, all of them at once.
    private let isSuspected: Bool

    package init(isSuspected: Bool = false) {
        self.isSuspected = isSuspected
    }

    /// Whether none has been lost.
    var isEmpty: Bool { workers.isEmpty }

    /// - Parameter isSentOn: it was asked after another had been lost.
    mutating func note(_ worker: NodeID, isSentOn: Bool) {
        wereLostInTurn = wereLostInTurn || isSentOn && !workers.isSubset(of: [worker])
        workers.insert(worker)
    }

    /// Whether the request is not sent on.
    package var areTooMany: Bool { workers.count >= (isSuspected ? 1 : Self.limit) }

    /// These, when it is on account of what was lost since that the request is not sent on; nil otherwise.
    func givenUp(since before: LostWorkers) -> LostWorkers? { areTooMany && !before.areTooMany ? self : nil }

    /// Whether it is not taken again either.
    package var areDeadly: Bool { areTooMany && (isSuspected || wereLostInTurn) }

    /// Why the request is not sent any more; nil while it may be.
    var refusal: WireStatus? {
        guard areTooMany else { return nil }
        guard areDeadly else {
            return WireStatus(
                .unavailable,
                "the connections to \(Self.limit) workers were lost at once while this request was under way at both; "
                    + "it is not sent on, since it may be what they died of, but may be sent once more",
                retryAfterMilliseconds: 500
            )
        }
        let lost = isSuspected ? "connection to another worker was" : "connections to \(Self.limit) workers were"
        return WireStatus(
            .internalError,
            "the \(lost) lost while this request was under way there; it is not sent on, since it may be what they "
                + "died of"
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
    let isSuspected: Bool
    private let workers: Mutex<LostWorkers>

    init(isSuspected: Bool = false) {
        self.isSuspected = isSuspected
        workers = Mutex(LostWorkers(isSuspected: isSuspected))
    }

    /// - Parameter didGiveUp: called when the request is not sent on from now on.
    func withLock<R: Sendable>(_ body: (inout LostWorkers) -> R, didGiveUp: (LostWorkers) -> Void) -> R {
        let (result, given) = workers.withLock { workers -> (R, LostWorkers?) in
            let before = workers
            let result = body(&workers)
            return (result, workers.givenUp(since: before))
        }
        if let given { didGiveUp(given) }
        return result
    }

    var current: LostWorkers { workers.withLock { $0 } }
}
