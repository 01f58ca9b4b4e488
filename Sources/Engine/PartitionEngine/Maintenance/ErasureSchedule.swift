/// When what deleted faces have left in a partition's file is erased. Pure.
///
/// It is done in rounds: one begins when the oldest remnant has had a third of the period, and takes all remnants away
/// that are there by then. What comes later waits for the next round. So each is gone in time when a round takes at
/// most half of the period.
package struct ErasureSchedule: Sendable {
    /// Time from a deletion to the moment from which on nothing of the face is in the file.
    package let period: Duration

    package init(period: Duration) {
        precondition(period > .zero, "a period takes time")
        self.period = period
    }

    /// - Parameter age: of the oldest remnant.
    package func beginsRound(atAge age: Duration) -> Bool { age * 3 >= period }

    /// Whether others who want what is to be erased, such as a replica that catches up by the log, have had their time.
    ///
    /// - Parameter age: of the oldest remnant.
    package func isPressing(atAge age: Duration) -> Bool { age * 3 >= period * 2 }

    /// How long a copy may be kept that was made of a partition while it may have had remnants: those of it that were
    /// older than a third were being erased.
    package var longestCopy: Duration { period / 2 }
}
