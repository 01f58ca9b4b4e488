import MienClient

/// A measured recall as text and as JSON.
enum RecallText {
    /// Such as `99.17 % of 1200 mates, 10 missed (98.48 to 99.60 %)`.
    static func text(_ recall: RecallEstimate, of noun: String) -> String {
        func percent(_ share: Double) -> String { NumberText.fixed(share * 100, 2) }
        return "\(percent(recall.recall)) % of \(NumberText.counted(recall.count, noun)), \(recall.missedCount) missed "
            + "(\(percent(recall.low)) to \(percent(recall.high)) %)"
    }

    static func json(_ recall: RecallEstimate) -> JSONValue {
        .object([
            ("recall", .number(recall.recall)), ("low", .number(recall.low)), ("high", .number(recall.high)),
            ("compared", .count(recall.count)), ("missed", .count(recall.missedCount)),
        ])
    }
}
