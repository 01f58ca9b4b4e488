internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// What one thread does of a search, within one read transaction.
struct SearchPass {
    /// What was found and how much was looked at.
    struct Outcome: Sendable {
        /// Of each probe, the best rows.
        var best: [BoundedTopK]
        var rowsVisited: UInt64 = 0
        var listsVisited: UInt64 = 0
        /// Of each generation of codes, what was to be visited, in the snapshot's order; empty when none are scanned.
        var visits: [ListVisits] = []
        var rowsReranked: UInt64 = 0
        /// Share that was done of the planned visits to lists.
        var listShare = 1.0
        /// Live rows that were to be compared in full, without lists, and those of them that were, summed over probes.
        var flatRowsPlanned: UInt64 = 0
        var flatRowsDone: UInt64 = 0
        /// It is open which of equally similar faces come last for some probe: a stop came before that was found out.
        var areEqualsOpen = false
        var stages = SearchStages()

        /// Share that was done of the live rows to be compared in full: 1 exactly when all were.
        var flatShare: Double {
            flatRowsDone == flatRowsPlanned ? 1 : Double(flatRowsDone) / Double(flatRowsPlanned)
        }

        /// Whether nothing was left out.
        var isWhole: Bool { listShare >= 1 && flatRowsDone == flatRowsPlanned }

        /// Takes what another has cost for its own.
        mutating func addWork(of other: Outcome) {
            rowsVisited += other.rowsVisited
            listsVisited += other.listsVisited
            rowsReranked += other.rowsReranked
            stages = stages + other.stages
        }
    }

    /// Visits to the lists of one generation, summed over probes.
    struct ListVisits: Sendable {
        /// Share of the coded rows that are of the generation.
        let rowShare: Double
        /// Lists that were to be visited, as far as was known: none for a thread in whose slice there are none.
        var planned: UInt64
        /// Of these, what was done.
        var done: Double
        /// Probes, each counted as the part of the lists that was given to the threads told of.
        var whole: Double
        /// Of these, those that a stop left out before their lists were ranked.
        var leftOut = 0.0

        /// What was done of all, as if those left out had as much to visit as the others.
        var share: Double {
            guard leftOut > 0 else { return planned == 0 ? 1 : done / Double(planned) }
            // Where the others had nothing to visit, all there was is left out.
            return planned == 0 ? 0 : done / Double(planned) * (1 - leftOut / whole)
        }
    }

    let plan: SearchPlan
    let part: SearchPart
    let partition: Partition
    let parameters: SearchParameters
    /// What a product of a probe and a stored embedding must reach: the threshold. Minus infinity where there is none,
    /// and where it is -1: rounding makes the products of opposite faces a little less, and these are told as -1.
    let floor: Float
    let state: PartitionState
    let probes: EmbeddingMatrix
    let leastUseful: SharedSimilarities?
    var outcome: Outcome
    /// Of each probe, the similarity of the last match wanted; nil where a row has come since that was found out.
    var lastSimilarities: [Float?]
    /// The probes rounded to int8, once a row that is not in memory was to be compared.
    var roundedProbes: RoundedProbes?
    private var faultCount = MappedPages.majorFaultCount()

    init(_ plan: SearchPlan, _ part: SearchPart, _ leastUseful: SharedSimilarities?) {
        self.plan = plan
        partition = plan.partition
        parameters = plan.search.parameters
        floor = parameters.threshold.map { $0 > -1 ? $0 : -.infinity } ?? -.infinity
        state = plan.state
        self.part = part
        self.leastUseful = leastUseful
        let whole = plan.search.probes
        probes = part.probes.count == whole.rowCount ? whole : whole.rows(part.probes)
        outcome = Outcome(best: [BoundedTopK](repeating: BoundedTopK(capacity: plan.room), count: part.probes.count))
        lastSimilarities = [Float?](repeating: nil, count: part.probes.count)
    }

    /// Notices if this thread has waited for the disk since it was asked last, for what it has read since.
    mutating func noteFaults(of pages: ColdPages) {
        let count = MappedPages.majorFaultCount()
        if count > faultCount { pages.noteWait() }
        faultCount = count
    }

    mutating func run(_ transaction: borrowing ReadTransaction, shouldStop: () -> Bool) throws {
        if let onlyRows = plan.onlyRows {
            try compare(onlyRows, transaction, shouldStop: shouldStop)
            return
        }
        var begin = StageClock.now
        if let snapshot = plan.snapshot {
            outcome.listShare = try scanLists(snapshot, transaction, shouldStop: shouldStop)
            let end = StageClock.now
            // Ranking and comparisons are made in between, and counted by themselves.
            outcome.stages.scan = end - begin - outcome.stages.rank - outcome.stages.compare
            begin = end
        }
        let compared = outcome.stages.compare
        try scanRows(from: plan.firstFlatRow, transaction, shouldStop: shouldStop)
        outcome.stages.flat = StageClock.now - begin - (outcome.stages.compare - compared)
    }
}

extension SearchPass.Outcome {
    /// The outcomes of all parts of a search together.
    init(merging parts: [(part: SearchPart, outcome: SearchPass.Outcome)], probeCount: Int, room: Int) {
        self.init(best: [BoundedTopK](repeating: BoundedTopK(capacity: room), count: probeCount))
        for (part, outcome) in parts {
            for (probe, found) in zip(part.probes, outcome.best) {
                if part.slice.count == 1 {
                    best[probe] = found
                } else {
                    for entry in found.heap { best[probe].insert(score: entry.score, id: entry.id) }
                }
            }
            addWork(of: outcome)
            flatRowsPlanned += outcome.flatRowsPlanned
            flatRowsDone += outcome.flatRowsDone
            // All parts scan the same generations. They have different numbers of lists, and some may have none.
            if visits.isEmpty {
                visits = outcome.visits
            } else {
                for index in visits.indices {
                    visits[index].planned += outcome.visits[index].planned
                    visits[index].done += outcome.visits[index].done
                    visits[index].whole += outcome.visits[index].whole
                    visits[index].leftOut += outcome.visits[index].leftOut
                }
            }
        }
        // Sums are rounded: what was done whole must read so, and what was not must not.
        if !parts.allSatisfy({ $0.outcome.listShare >= 1 }) {
            listShare = min(visits.reduce(0) { $0 + $1.rowShare * $1.share }, 1.0.nextDown)
        }
    }
}
