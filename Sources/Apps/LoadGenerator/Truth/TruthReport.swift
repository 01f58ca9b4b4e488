/// How the answers and what is stored agree with the truth.
package struct TruthReport: Sendable, Equatable, Codable {
    package var findings = TruthFindings()

    /// Faces written and acknowledged, deleted ones among them.
    package var writtenFaceCount = 0
    /// Faces with a write of which nobody knows what became; they may be either.
    package var uncertainFaceCount = 0
    /// Answers held against the truth while the load ran, and the matches in them.
    package var checkedAnswerCount = 0
    package var checkedMatchCount = 0
    /// Answers that said that they were partial.
    package var flaggedPartialCount = 0

    /// Mated searches whose mate was there for certain, and those that found it among their matches.
    package var matedSearchCount = 0
    package var mateFoundCount = 0

    /// Sampled answers, compared with exact searches at the end: matches that had to be there, and those that were.
    package var comparedAnswerCount = 0
    package var requiredMatchCount = 0
    package var foundMatchCount = 0
    /// Mates among the required matches, and those found.
    package var requiredMateCount = 0
    package var foundMateCount = 0

    /// Faces read back at the end, and how many of them with their embeddings compared.
    package var readBackCount = 0
    package var embeddingCount = 0
    /// Faces that a full check would have read.
    package var readableCount = 0
    /// Deleted faces that were searched for with their own embeddings: an even sample of ``deletedFaceCount``.
    package var deletedSearchCount = 0
    /// Faces that the load deleted, and how many were searched for exactly; the others with the effort of the load.
    /// Nil, as all that follow until ``start``, in reports of programs that did not tell.
    package var deletedFaceCount: Int?
    package var deletedExactCount: Int?
    package var ownSearches: OwnSearches?
    /// Answers that said that faces of the collection were given up.
    package var lossAnswerCount: Int?
    /// How the load found the collection; nil for a part of one, too.
    package var start: Start?
    /// By how many faces the collection may have grown or, below 0, shrunk by the writes: at least, and at most. Nil in
    /// reports of programs that did not tell.
    package var leastFaceChange: Int?
    package var mostFaceChange: Int?
    /// Faces that an exact search covered at the end; nil when it had no full answer.
    package var finalFaceCount: Int?
    /// Why a part of the check could not be done; empty when all of it was.
    package var unchecked: [String] = []

    /// Faces that were there for certain and searched for with their own embeddings when the load was over.
    package struct OwnSearches: Sendable, Equatable, Codable {
        /// Those that were there for certain, of which the others are an even sample.
        package var knownCount = 0
        /// Searched for exactly and with the effort of the load; each that the former does not find is a finding.
        package var searchCount = 0
        /// Found with the effort of the load.
        package var foundCount = 0

        package init() {}
    }

    /// What a load found before it began.
    package struct Start: Sendable, Equatable, Codable {
        /// Whether it had to be as a fill left it, so that anything else is a finding. Otherwise it was undone, and
        /// what was lost before the load is not told from what an earlier one had written.
        package var wasExpected: Bool
        /// Faces taken away, and filled faces that were enrolled again.
        package var removedCount: Int
        package var restoredCount: Int

        package init(wasExpected: Bool, removedCount: Int = 0, restoredCount: Int = 0) {
            self.wasExpected = wasExpected
            self.removedCount = removedCount
            self.restoredCount = restoredCount
        }
    }

    package init() {}

    package var recall: Double? {
        requiredMatchCount == 0 ? nil : Double(foundMatchCount) / Double(requiredMatchCount)
    }

    package var mateShare: Double? {
        matedSearchCount == 0 ? nil : Double(mateFoundCount) / Double(matedSearchCount)
    }

    /// Whether nothing was wrong and everything could be checked.
    package var isClean: Bool { findings.isClean && unchecked.isEmpty }

    package mutating func add(_ other: TruthReport) {
        findings.add(other.findings)
        writtenFaceCount += other.writtenFaceCount
        uncertainFaceCount += other.uncertainFaceCount
        checkedAnswerCount += other.checkedAnswerCount
        checkedMatchCount += other.checkedMatchCount
        flaggedPartialCount += other.flaggedPartialCount
        matedSearchCount += other.matedSearchCount
        mateFoundCount += other.mateFoundCount
        comparedAnswerCount += other.comparedAnswerCount
        requiredMatchCount += other.requiredMatchCount
        foundMatchCount += other.foundMatchCount
        requiredMateCount += other.requiredMateCount
        foundMateCount += other.foundMateCount
        readBackCount += other.readBackCount
        embeddingCount += other.embeddingCount
        readableCount += other.readableCount
        deletedSearchCount += other.deletedSearchCount
        deletedFaceCount = Self.adding(deletedFaceCount, other.deletedFaceCount)
        deletedExactCount = Self.adding(deletedExactCount, other.deletedExactCount)
        if let added = other.ownSearches {
            var sum = ownSearches ?? OwnSearches()
            sum.knownCount += added.knownCount
            sum.searchCount += added.searchCount
            sum.foundCount += added.foundCount
            ownSearches = sum
        }
        if let added = other.lossAnswerCount { lossAnswerCount = (lossAnswerCount ?? 0) + added }
        start = start ?? other.start
        leastFaceChange = Self.adding(leastFaceChange, other.leastFaceChange)
        mostFaceChange = Self.adding(mostFaceChange, other.mostFaceChange)
        finalFaceCount = [finalFaceCount, other.finalFaceCount].compactMap(\.self).max()
        unchecked += other.unchecked
    }

    /// Nil unless both are known.
    private static func adding(_ left: Int?, _ right: Int?) -> Int? {
        guard let left, let right else { return nil }
        return left + right
    }
}
