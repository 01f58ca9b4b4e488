extension FaceHistoryChecker {
    /// As much of a history as is wrong by itself.
    struct Excerpt: Sendable {
        var violation: Violation
        /// In order of their beginnings.
        var operations: [ClientOperation]
        /// Writes besides, any of which may have been done at any time after it began, or never: still it is wrong.
        var otherWriteCount: Int
    }

    /// Histories that are checked for an excerpt, at most.
    private static let attemptLimit = 3000

    /// What is left of a history that is wrong when reads are taken out of it, and acknowledged writes are taken for
    /// such of unknown outcome, as far as it stays wrong. Either only makes more orders possible.
    ///
    /// - Returns: nil when the history is not wrong.
    static func excerpt(of operations: [ClientOperation]) -> Excerpt? {
        guard var violation = check(operations) else { return nil }
        var kept = operations.sorted { ($0.began, $0.number) < ($1.began, $1.number) }
        var attemptCount = 0

        func isWrong(_ operations: [ClientOperation]) -> Bool {
            attemptCount += 1
            guard let found = check(operations) else { return false }
            violation = found
            return true
        }

        // What came later than the end of what is wrong does not matter, but for writes that may explain it.
        if let end = operations.first(where: { $0.number == violation.number })?.ended {
            let earlier = kept.filter { $0.ended <= end || !$0.isRead && $0.began <= end }
            if isWrong(earlier) { kept = earlier }
        }
        var size = kept.count / 2
        while size >= 1 {
            var start = 0
            while start < kept.count, attemptCount < attemptLimit {
                let range = start..<min(start + size, kept.count)
                let weaker = kept[..<range.lowerBound] + kept[range].compactMap(weakened) + kept[range.upperBound...]
                if weaker.elementsEqual(kept) {
                    start = range.upperBound
                } else if isWrong(Array(weaker)) {
                    start += weaker.count - (kept.count - range.count)
                    kept = Array(weaker)
                } else {
                    start = range.upperBound
                }
            }
            size /= 2
        }
        var shown: Set<ClientOperation.Content> = []
        for case .read(let content, _) in kept.map(\.action) where content != .absent { shown.insert(content) }
        let telling = kept.filter {
            switch $0.action {
            case .read, .write(_, .acknowledged): true
            case .write(let content, .refused), .write(let content, .unknown): shown.contains(content)
            }
        }
        let others =
            kept.count { if case .write(_, .unknown) = $0.action { true } else { false } }
            - telling.count { if case .write(_, .unknown) = $0.action { true } else { false } }
        return Excerpt(
            violation: check(kept) ?? violation,
            operations: telling,
            otherWriteCount: others
        )
    }

    /// What asks for less: nothing instead of a read, and a write that may have been done instead of one that was.
    private static func weakened(_ operation: ClientOperation) -> ClientOperation? {
        guard case .write(let content, .acknowledged) = operation.action else {
            return operation.isRead ? nil : operation
        }
        var operation = operation
        operation.action = .write(content, .unknown)
        return operation
    }
}

extension FaceHistoryChecker.Excerpt: CustomStringConvertible {
    var description: String {
        let lines = operations.map { "  \($0)" }
        let rest =
            otherWriteCount == 0
            ? [] : ["  and \(otherWriteCount) other writes, which may have been done at any time or never"]
        let end = violation.number < 0 ? violation.reason : "#\(violation.number): \(violation.reason)"
        return (lines + rest + ["  \(end)"]).joined(separator: "\n")
    }
}
