import MienClient

extension SearchResults.Coverage {
    /// What an answer did not see, as a sentence; nil when it saw everything.
    var gap: String? { isFull ? nil : Self.gap(share: share, missing: missing) }

    static func gap(share: Double, missing: [MissingShard]) -> String {
        let shards = missing.map { "shard \($0.index) (\($0.reason))" }
        return "the answer is partial: it covers \(NumberText.percent(share)) of the faces"
            + (shards.isEmpty ? "" : "; missing: \(shards.joined(separator: ", "))")
    }
}

extension [SearchResults.Coverage.MissingShard] {
    var json: JSONValue {
        .array(map { .object([("shard", .count($0.index)), ("reason", .string($0.reason))]) })
    }
}
