internal import FaceModel
internal import LMDB
internal import Synchronization
internal import Threads
internal import VectorMath

/// One attempt at a search whose parts are done by several threads, all on the same commit.
///
/// Threads: the caller's takes parts until none is left and then waits for those that others have begun; it never waits
/// for one that nobody has begun. A thread that comes when the commit is no longer the newest cannot read it and goes.
final class DividedSearch: Sendable {
    private let plan: SearchPlan
    private let parts: [SearchPart]
    /// The similarity below which a row is of no use to a probe, as far as any thread knows.
    private let leastUseful: SharedSimilarities
    private let monitor: Monitor<DividedWork<SearchPass.Outcome>>
    private let isStopped = Atomic(false)

    init(_ plan: SearchPlan, parts: [SearchPart]) {
        self.plan = plan
        self.parts = parts
        leastUseful = SharedSimilarities(count: plan.search.probes.rowCount)
        monitor = Monitor(DividedWork(partCount: parts.count))
    }

    /// Does the search with whoever comes; the outcomes of its parts.
    func run(
        team: SearchTeam,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws -> [(part: SearchPart, outcome: SearchPass.Outcome)] {
        for _ in 1..<parts.count {
            guard team.recruit({ self.help() }) else { break }
        }
        func stops() -> Bool {
            if shouldStop() { isStopped.store(true, ordering: .relaxed) }
            return isStopped.load(ordering: .relaxed)
        }
        while true {
            if let part = claim() {
                do {
                    finish(part, try plan.outcome(of: parts[part], leastUseful, transaction, shouldStop: stops))
                } catch {
                    fail(error)
                }
                continue
            }
            let standing = monitor.wait(atMost: .milliseconds(1)) { work -> DividedWork<SearchPass.Outcome>.Standing? in
                let standing = work.standing
                return standing == .underWay ? nil : standing
            }
            if standing == .ended { break }
            _ = stops()
        }
        let outcomes = try monitor.withLock { work in try work.result() }
        return zip(parts, outcomes).map { ($0, $1) }
    }

    /// What a recruited thread does.
    ///
    /// It claims nothing before it reads: where readers are kept out until those inside are done, the caller, who is
    /// inside, would wait for a part that waits to come in. The partition stays open as long as a part is claimed; one
    /// that cannot be read has been closed, or has too many readers, and the parts are for others.
    private func help() {
        guard monitor.withLock({ $0.standing == .claimable }) else { return }
        try? plan.partition.environment.read { transaction in
            guard transaction.number == plan.transactionNumber else { return }
            while let part = claim() {
                do {
                    finish(
                        part,
                        try plan.outcome(of: parts[part], leastUseful, transaction) {
                            isStopped.load(ordering: .relaxed)
                        }
                    )
                } catch {
                    fail(error)
                }
            }
        }
    }

    private func claim() -> Int? {
        monitor.withLock { work in work.claim() }
    }

    private func finish(_ part: Int, _ outcome: SearchPass.Outcome) {
        monitor.withLock(waking: .all) { work in work.finish(part, outcome) }
    }

    private func fail(_ error: any Error) {
        isStopped.store(true, ordering: .relaxed)
        monitor.withLock(waking: .all) { work in work.fail(error) }
    }
}
