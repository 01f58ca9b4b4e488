/// Says in options of the command line what the cluster says to programs that call it.
package enum CommandWords {
    private static let pairs = [
        ("send the same batch again under the same idempotency key, which", "run the same command again, which"),
        ("send the same write again under the same idempotency key", "run the same command again"),
        ("Give a longer deadline", "Give a longer --timeout"), ("give a longer deadline", "give a longer --timeout"),
        ("pass a minimum coverage", "pass --min-coverage"),
    ]

    /// The sentence with those phrases replaced that a person at a keyboard cannot follow.
    package static func translated(_ sentence: String) -> String {
        pairs.reduce(sentence) { $0.replacing($1.0, with: $1.1) }
    }
}
