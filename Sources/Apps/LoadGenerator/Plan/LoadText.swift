/// Reads the small words of a load's options.
package enum LoadText {
    /// Such as `500ms`, `10s`, `1.5s`, `2m` or `1h`.
    package static func duration(_ text: some StringProtocol) throws(LoadTextError) -> Duration {
        let number = text.prefix { $0.isNumber || $0 == "." }
        guard let value = Double(number), value.isFinite, value < 1e9 else { throw notADuration(text) }
        switch text.dropFirst(number.count) {
        case "ms": return .seconds(value / 1000)
        case "s": return .seconds(value)
        case "m": return .seconds(value * 60)
        case "h": return .seconds(value * 3600)
        default: throw notADuration(text)
        }
    }

    /// A number above 0 as text: `2000`, or `0.5`.
    package static func rate(_ text: some StringProtocol) throws(LoadTextError) -> Double {
        guard let value = Double(text), value > 0, value <= 1_000_000 else {
            throw LoadTextError("'\(text)' is no rate; write a number a second above 0, such as 200")
        }
        return value
    }

    /// Such as `a=1,b=2`: keys and values in order, no key twice.
    static func pairs(
        _ text: some StringProtocol,
        what: String,
        example: String
    ) throws(LoadTextError) -> [(key: String, value: String)] {
        var pairs: [(key: String, value: String)] = []
        for part in text.split(separator: ",", omittingEmptySubsequences: false) {
            let words = part.split(separator: "=", omittingEmptySubsequences: false).map { trimmed($0) }
            guard words.count == 2, !words[0].isEmpty, !words[1].isEmpty else {
                throw LoadTextError("'\(part)' is no part of \(what); write it as \(example)")
            }
            guard !pairs.contains(where: { $0.key == words[0] }) else {
                throw LoadTextError("'\(words[0])' is twice in \(what)")
            }
            pairs.append((words[0], words[1]))
        }
        return pairs
    }

    static func trimmed(_ text: some StringProtocol) -> String {
        String(text.drop { $0 == " " }.reversed().drop { $0 == " " }.reversed())
    }

    private static func notADuration(_ text: some StringProtocol) -> LoadTextError {
        LoadTextError("'\(text)' is no time; write 500ms, 10s, 2m or 1h")
    }
}
