/// Finds the key that someone most likely meant by a misspelt one.
enum NearestKey {
    /// The candidate at the smallest edit distance, comparing whole paths as well as last components (the right name in
    /// the wrong section, or only its beginning); nil when none is close. The first of equally close candidates wins.
    static func find(_ key: String, among candidates: [String]) -> String? {
        let name = lastComponent(key)
        var best: (key: String, distance: Int)?
        for candidate in candidates {
            let whole = distance(key, candidate)
            let last = distance(name, lastComponent(candidate)) + 1
            let isShortened = name.utf8.count >= 3 && lastComponent(candidate).hasPrefix(name)
            let smaller = isShortened ? min(whole, 1) : min(whole, last)
            if smaller < best?.distance ?? .max { best = (candidate, smaller) }
        }
        guard let best, best.distance <= max(2, name.utf8.count / 3 + 1) else { return nil }
        return best.key
    }

    private static func lastComponent(_ key: String) -> String { String(key.split(separator: ".").last ?? "") }

    /// Optimal string alignment distance (Damerau 1964, with each pair of letters swapped at most once) over UTF-8.
    static func distance(_ lhs: String, _ rhs: String) -> Int {
        let left = Array(lhs.utf8.prefix(128))
        let right = Array(rhs.utf8.prefix(128))
        var twoAbove: [Int] = []
        var above = Array(0...right.count)
        for row in 0..<left.count {
            var current = [row + 1]
            for column in 0..<right.count {
                let substitution = above[column] + (left[row] == right[column] ? 0 : 1)
                var smallest = min(substitution, above[column + 1] + 1, current[column] + 1)
                if row > 0, column > 0, left[row] == right[column - 1], left[row - 1] == right[column] {
                    smallest = min(smallest, twoAbove[column - 1] + 1)
                }
                current.append(smallest)
            }
            (twoAbove, above) = (above, current)
        }
        return above[right.count]
    }
}
