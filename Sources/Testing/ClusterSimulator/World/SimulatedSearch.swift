import ClusterModel
import ClusterState
import FaceModel
import NIOCore
import QueryRouter
import WireProtocol

/// Part of one attempt of a search: what was planned for another is void.
struct SearchCall: Hashable, Sendable {
    var search: Int
    /// Place of the shard among those that the search asks.
    var part: Int
    /// Times that the replicas of shards were asked, over all of the search.
    var round: Int
    /// Place of the replica in the order of the round.
    var number: Int
}

/// A search of all faces that a coordinator does for a client, by the rules of the real router.
struct SimulatedSearch: Sendable {
    /// One shard of those that are asked.
    struct Part: Sendable {
        enum Outcome: Sendable {
            /// - Parameter faces: that the replica had, or those of them that it came to see.
            case answered(faces: [Int: UInt64], ShardSearchAnswer)
            case failed(ShardFailure)
        }

        var placement: ShardPlacement
        /// Replicas in the order in which they are asked.
        var workers: [NodeID] = []
        var hedgeDelay = Duration.zero
        var round: ReplicaRound
        var roundNumber = 0
        var retry = ReadRetry(options: SimulatedRouter.options)
        var failures: [ShardFailure] = []
        var outcome: Outcome?

        init(_ placement: ShardPlacement) {
            self.placement = placement
            round = ReplicaRound(replicaCount: placement.group.inSync.count)
        }
    }

    let controller: Int
    let life: Int
    let client: SimulatedClient
    let began: Duration
    let deadline: Duration
    /// Whether an answer without some of the faces is none.
    let needsAll: Bool
    let hasToken: Bool
    var parts: [Part] = []
    /// Shards have taken the place of one that was asked.
    var isReplaced = false
    var roundCount = 0

    var placements: [ShardPlacement] { parts.map(\.placement) }
    var isOver: Bool { parts.allSatisfy { $0.outcome != nil } }
}

/// What a coordinator's router remembers from search to search.
struct SimulatedRouter: Sendable {
    static let options = RouterOptions()

    var choice = ReadChoice(limits: options.reads)
    var overloadRetries = RequestBudget(
        share: options.overloadRetryShare,
        reserve: Double(options.overloadRetryReserve)
    )
    /// When workers failed to answer first since they last answered.
    var firstFailures: [NodeID: Duration] = [:]

    static func deadline(_ time: Duration) -> NIODeadline {
        .uptimeNanoseconds(UInt64(max(time, .zero) / .nanoseconds(1)))
    }
}
