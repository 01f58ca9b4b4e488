/// The lists one probe visits, the nearest in an early round, so that what they give can rule out much of the rest.
package struct ListSelection: Sendable {
    /// None empty; each ascending, no list twice.
    package var rounds: [[UInt32]]

    package init(rounds: [[UInt32]]) {
        self.rounds = rounds
    }

    package var listCount: Int { rounds.reduce(0) { $0 + $1.count } }
}
