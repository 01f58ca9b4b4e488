/// What a cluster got wrong, by kind, with some of the cases; any of them fails a load.
package struct TruthFindings: Sendable, Equatable, Codable {
    package enum Kind: String, Sendable, CaseIterable, Codable, CodingKeyRepresentable {
        /// An acknowledged face is not there.
        case lost
        /// A face whose deletion was acknowledged is there.
        case resurrected
        /// A face holds what it may not hold: an older content, or parts of two.
        case wrongContent = "wrong-content"
        /// One face twice in an answer.
        case duplicate
        /// A face that was never enrolled.
        case foreign
        /// An answer that says it is full, and is not.
        case unflaggedPartial = "unflagged-partial"
        /// A partial answer whose figures of what it covers cannot be.
        case wrongCoverage = "wrong-coverage"
        /// A face that is there and that searches do not find, or more of them than the effort allows.
        case unfound = "not-found"

        /// For people.
        package var title: String {
            switch self {
            case .lost: "lost"
            case .resurrected: "resurrected"
            case .wrongContent: "wrong content"
            case .duplicate: "twice in an answer"
            case .foreign: "never enrolled"
            case .unflaggedPartial: "partial, not flagged"
            case .wrongCoverage: "wrong coverage"
            case .unfound: "there and not found"
            }
        }
    }

    /// Of one kind, so that none hides the others.
    private static let exampleLimit = 5

    package private(set) var counts: [Kind: Int] = [:]
    /// A sentence for each of the first cases of each kind; ids of generated faces, never an embedding.
    package private(set) var examples: [String] = []

    package init() {}

    package var totalCount: Int { counts.values.reduce(0, +) }
    package var isClean: Bool { totalCount == 0 }

    package func count(_ kind: Kind) -> Int { counts[kind] ?? 0 }

    package mutating func add(_ kind: Kind, _ example: @autoclosure () -> String) {
        counts[kind, default: 0] += 1
        if count(kind) <= Self.exampleLimit { examples.append("\(kind.title): \(example())") }
    }

    package mutating func add(_ other: TruthFindings) {
        counts.merge(other.counts, uniquingKeysWith: +)
        examples += other.examples
    }
}
