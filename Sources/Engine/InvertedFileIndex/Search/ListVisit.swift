/// The visits of a scan as it goes on, round by round.
struct ListVisit {
    /// Lists that the same probes visit.
    struct Step {
        let lists: ArraySlice<UInt32>
        let probes: ArraySlice<UInt32>
    }

    struct Round {
        /// Probes that visit lists in this round.
        let probes: [Int]
        let steps: [Step]
    }

    /// Lists that one probe alone scans between two questions whether to stop.
    private static let listsPerStep = 64

    private var plan: VisitPlan
    private let listCount: Int
    private var budgets: [Double]
    /// Of each probe, the parts of its first budget at which rounds end are parts of this.
    private let totals: [Double]
    private var round = 0
    private var handedOut = 0

    init(_ plan: VisitPlan, listCount: Int) {
        self.plan = plan
        self.listCount = listCount
        let budget = plan.budget(-.infinity)
        budgets = [Double](repeating: budget, count: plan.walks.count)
        totals = budget.isFinite ? budgets : plan.walks.map(\.totalWeight)
    }

    /// What is to be visited next; nil when nothing is.
    mutating func nextRound() -> Round? {
        while round < VisitPlan.roundEnds.count {
            let end = VisitPlan.roundEnds[round]
            round += 1
            var probes: [Int] = []
            var lists: [ArraySlice<UInt32>] = []
            for probe in plan.walks.indices {
                let goal = end < 1 ? min(end * totals[probe], budgets[probe]) : budgets[probe]
                let portion = slice(plan.walks[probe].next(until: goal))
                if portion.isEmpty { continue }
                probes.append(probe)
                lists.append(portion)
                handedOut += portion.count
            }
            if !probes.isEmpty { return Round(probes: probes, steps: Self.steps(probes, lists, listCount: listCount)) }
        }
        return nil
    }

    /// Tells that rows below this similarity are of no use to a probe from now on.
    mutating func setLeastSimilarity(_ similarity: Float, probe: Int) {
        budgets[probe] = min(budgets[probe], plan.budget(similarity))
    }

    /// The lists of all rounds, summed over probes, were the rest visited without learning anything more.
    mutating func plannedListCount() -> Int {
        handedOut + plan.walks.indices.reduce(0) { $0 + slice(plan.walks[$1].next(until: budgets[$1])).count }
    }

    private func slice(_ portion: [UInt32]) -> ArraySlice<UInt32> {
        plan.slice.count == 1 ? portion[...] : portion.filter { plan.slice.holds(list: $0, of: listCount) }[...]
    }

    /// One probe takes many lists in a step; several probes take one list at a time, in order.
    private static func steps(_ probes: [Int], _ portions: [ArraySlice<UInt32>], listCount: Int) -> [Step] {
        if probes.count == 1 {
            let (lists, probe) = (portions[0], UInt32(probes[0]))
            return stride(from: lists.startIndex, to: lists.endIndex, by: listsPerStep).map { first in
                Step(lists: lists[first..<min(lists.endIndex, first + listsPerStep)], probes: [probe])
            }
        }
        // Counting sort of (list, probe): probes come in order, so their order within a list is kept.
        var ends = [Int](repeating: 0, count: listCount + 1)
        for portion in portions {
            for list in portion { ends[Int(list) + 1] += 1 }
        }
        for list in 1...listCount { ends[list] += ends[list - 1] }
        var next = ends
        var sorted = [UInt32](repeating: 0, count: ends[listCount])
        for (probe, portion) in zip(probes, portions) {
            for list in portion {
                sorted[next[Int(list)]] = UInt32(probe)
                next[Int(list)] += 1
            }
        }
        let lists = (0..<UInt32(listCount)).filter { ends[Int($0)] < ends[Int($0) + 1] }
        return lists.indices.map { index in
            let list = Int(lists[index])
            return Step(lists: lists[index...index], probes: sorted[ends[list]..<ends[list + 1]])
        }
    }
}
