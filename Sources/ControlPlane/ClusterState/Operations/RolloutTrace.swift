import ClusterModel
import FaceModel

/// How far one rollout that is running has come, from look to look.
///
/// It *gets on* when it is further than it ever was: at a later stage, in more replicas, or with fewer rows left to
/// code again in one of them. What is enrolled meanwhile is coded by the new codebook at once, and does not count; nor
/// does a replica that goes away and comes back.
struct RolloutTrace: Sendable {
    private struct Replica: Hashable {
        var shard: ShardID
        var worker: NodeID
    }

    private static let rateInterval = Duration.seconds(3)

    private(set) var pace: OperationLedger.RolloutPace
    private var progress: RolloutProgress
    private var furthest: RolloutProgress.Stage
    /// Fewest rows that each replica with the codebook ever had to code again.
    private var least: [Replica: UInt64] = [:]
    private var rateStart: Duration
    /// Since then.
    private var recodedRowCount: UInt64 = 0

    init(_ progress: RolloutProgress, now: Duration) {
        pace = OperationLedger.RolloutPace(changed: now)
        self.progress = progress
        furthest = progress.stage
        rateStart = now
        _ = noteReplicas(of: progress)
    }

    /// - Parameter awaitsItsTurn: whether its training waits for another one, which will end by itself.
    mutating func observe(_ progress: RolloutProgress, awaitsItsTurn: Bool, now: Duration) {
        let isLater = progress.stage > furthest
        furthest = max(furthest, progress.stage)
        let hasTrained =
            progress.isTrained != self.progress.isTrained || progress.trainer != self.progress.trainer
            || progress.training?.progress != self.progress.training?.progress
        let isFurther = noteReplicas(of: progress)
        if isLater || hasTrained || isFurther { pace.changed = now }
        if awaitsItsTurn { pace.waited = now }
        recodedRowCount += progress.recodedRowCount(since: self.progress)
        self.progress = progress
        let elapsed = now - rateStart
        guard elapsed >= Self.rateInterval else { return }
        pace.rowsPerSecond = Double(recodedRowCount) / (elapsed / .seconds(1))
        rateStart = now
        recodedRowCount = 0
    }

    /// - Returns: whether one has come to have the codebook, or has fewer rows left than it ever had.
    private mutating func noteReplicas(of progress: RolloutProgress) -> Bool {
        var isFurther = false
        for shard in progress.shards {
            for (worker, rowCount) in shard.left {
                let replica = Replica(shard: shard.shard, worker: worker)
                if let known = least[replica], known <= rowCount { continue }
                least[replica] = rowCount
                isFurther = true
            }
        }
        return isFurther
    }
}
