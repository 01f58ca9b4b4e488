package import ClusterModel

/// Since when replicas are out of service, and which shard is to be mended without being asked. Pure.
///
/// Damage does not go away by itself, and a shard with two copies of which one must not be read may take no writes. So
/// the shard is read whole, and what of it proves damaged makes way for a copy, as by `mien verify --repair`. Times are
/// durations since any fixed moment of a monotonic clock, given by the caller.
package struct RepairLedger: Sendable {
    /// Replicas of one worker that are made anew within ``window``. Where more are damaged, what holds them is failing,
    /// and would damage copies, too.
    package static let limit = 3
    package static let window = Duration.seconds(86_400)
    /// From the end of an attempt at a shard that mended nothing to the next; doubled by each further one, since each
    /// may read the shard's replicas from end to end.
    package static let firstPause = Duration.seconds(60)
    package static let longestPause = Duration.seconds(3600)

    /// A shard to mend, and where replicas of it are out of service.
    package struct Repair: Hashable, Sendable {
        package let shard: ShardID
        package let workers: Set<NodeID>
    }

    private struct Place: Hashable {
        var shard: ShardID
        var worker: NodeID
    }

    /// Attempts at a shard that mended nothing, and when the next may be.
    private struct Attempts {
        var pause: Duration
        var next: Duration
    }

    private let patience: Duration
    private let firstPause: Duration
    private var failedSince: [Place: Duration] = [:]
    private var attempts: [ShardID: Attempts] = [:]
    /// When replicas of each worker were taken out of their groups.
    private var replacements: [NodeID: [Duration]] = [:]

    /// - Parameters:
    ///   - patience: time that a replica must have been out of service; zero for never.
    ///   - firstPause: after the first attempt in vain.
    package init(patience: Duration, firstPause: Duration = Self.firstPause) {
        self.patience = patience
        self.firstPause = firstPause
    }

    /// Takes note of who is out of service. A replica that is opened again is so until it serves; of one whose worker
    /// is away nothing is known.
    package mutating func observe(_ view: ClusterView, now: Duration) {
        guard patience > .zero else { return }
        var failing: [Place: Duration] = [:]
        for worker in view.liveWorkers {
            for (shard, replica) in view.observations[worker]?.replicas ?? [:] where replica.state != .serving {
                let place = Place(shard: shard, worker: worker)
                let since = failedSince[place]
                guard since != nil || replica.state == .failed,
                    view.metadata.placement(of: shard)?.group.members.contains(worker) == true
                else { continue }
                failing[place] = since ?? now
            }
        }
        failedSince = failing
        let shards = Set(failing.keys.map(\.shard))
        attempts = attempts.filter { shards.contains($0.key) }
        replacements = replacements.compactMapValues { times in
            let recent = times.filter { now - $0 < Self.window }
            return recent.isEmpty ? nil : recent
        }
    }

    /// The shard to mend now, that which has waited longest; nil most of the time.
    ///
    /// Only where another replica in sync is open, and nowhere as long as workers may be there that were not heard yet,
    /// or go by newer records than there are here.
    package func due(in view: ClusterView, now: Duration) -> Repair? {
        guard view.isSettled else { return nil }
        let waiting = failedSince.filter { place, since in
            now - since >= patience && attempts[place.shard].map { $0.next <= now } ?? true
                && view.replica(of: place.shard, on: place.worker)?.state == .failed
                && !isExhausted(place.worker) && !view.olderShards.contains(place.shard)
                && Self.hasOther(place, in: view)
        }
        let first = waiting.min { ($0.value, $0.key.shard) < ($1.value, $1.key.shard) }
        guard let shard = first?.key.shard else { return nil }
        return Repair(shard: shard, workers: Set(waiting.keys.filter { $0.shard == shard }.map(\.worker)))
    }

    /// - Parameter replaced: workers whose replicas have left the group.
    package mutating func ended(_ repair: Repair, replaced: Set<NodeID>, now: Duration) {
        let pause = attempts[repair.shard].map { min($0.pause * 2, Self.longestPause) } ?? firstPause
        attempts[repair.shard] = replaced.isEmpty ? Attempts(pause: pause, next: now + pause) : nil
        for worker in replaced { replacements[worker, default: []].append(now) }
    }

    /// Workers with damaged replicas of which as many were made anew as may be.
    package var exhaustedWorkers: Set<NodeID> { Set(failedSince.keys.map(\.worker).filter(isExhausted)) }

    private func isExhausted(_ worker: NodeID) -> Bool { replacements[worker, default: []].count >= Self.limit }

    private static func hasOther(_ place: Place, in view: ClusterView) -> Bool {
        let group = view.metadata.placement(of: place.shard)?.group
        return group?.inSync.contains { $0 != place.worker && view.isServing(place.shard, on: $0) } ?? false
    }
}
