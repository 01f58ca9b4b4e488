/// One round of asking a shard's replicas for a read: one after the other, each at most once, and two at a time when
/// one takes long; the first answer counts.
///
/// Without clocks and connections: whoever drives it asks the replicas, by their places in an order, and tells it what
/// came of that.
package struct ReplicaRound: Hashable, Sendable {
    package enum Turn: Hashable, Sendable {
        case ask(Int)
        /// Others that were asked may answer.
        case wait
        /// Nobody is left, or no other could answer what was asked.
        case end
    }

    private let replicaCount: Int
    private var askedCount = 0
    private var underWay: Set<Int> = []
    /// Replicas that were asked since the one before took long.
    package private(set) var hedges: Set<Int> = []

    /// - Precondition: there is a replica.
    package init(replicaCount: Int) {
        precondition(replicaCount > 0)
        self.replicaCount = replicaCount
    }

    /// Whether one is left that was not asked.
    package var hasMore: Bool { askedCount < replicaCount }

    /// The one to begin with.
    package mutating func begin() -> Int { askNext() }

    private mutating func askNext() -> Int {
        underWay.insert(askedCount)
        askedCount += 1
        return askedCount - 1
    }

    package mutating func failed(_ number: Int, othersMayAnswer: Bool) -> Turn {
        underWay.remove(number)
        guard othersMayAnswer else { return .end }
        if hasMore { return .ask(askNext()) }
        return underWay.isEmpty ? .end : .wait
    }

    /// The one that was asked last has had its time.
    ///
    /// - Returns: who is to be asked too, if `mayHedge` allows it.
    package mutating func overdue(_ mayHedge: (_ slow: Int, _ other: Int) -> Bool) -> Int? {
        guard hasMore, let slow = underWay.max(), mayHedge(slow, askedCount) else { return nil }
        hedges.insert(askedCount)
        return askNext()
    }

    /// Those that were asked before one that has answered, and are silent still.
    package func overtaken(by number: Int) -> [Int] { underWay.filter { $0 < number }.sorted() }
}
