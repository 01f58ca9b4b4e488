internal import InvertedFileIndex

/// A part of a search that one thread does.
struct SearchPart: Sendable {
    let probes: Range<Int>
    /// Which of the lists, and which even range of the rows; those of the same probes do not overlap.
    let slice: WorkSlice
}

/// How a search is divided among threads.
package enum SearchDivision {
    /// Probes of a part: with fewer, a block of codes is loaded for too few of them.
    private static let leastProbes = 8

    /// Many probes are divided among the threads; for few, each thread takes lists of its own, and a range of the rows.
    ///
    /// - Parameters:
    ///   - work: of the whole search, in codes scanned.
    ///   - leastWork: of a part.
    static func parts(probeCount: Int, work: Double, leastWork: Double, memberLimit: Int) -> [SearchPart] {
        let count = max(1, min(memberLimit, Int(min(work / leastWork, 1024))))
        if count > 1, probeCount >= count * leastProbes {
            return (0..<count).map { index in
                let probes = WorkSlice(index: index, count: count).range(of: probeCount)
                return SearchPart(probes: probes, slice: .whole)
            }
        }
        return (0..<count).map { SearchPart(probes: 0..<probeCount, slice: WorkSlice(index: $0, count: count)) }
    }

    /// Even ranges of probes, one after the other, each of so many that they take no more than a limit together, or of
    /// one.
    package static func groups(probeCount: Int, probeByteCount: Int, byteLimit: Int) -> [Range<Int>] {
        let groupSize = max(1, byteLimit / max(1, probeByteCount))
        let count = max(1, (probeCount + groupSize - 1) / groupSize)
        return (0..<count).map { WorkSlice(index: $0, count: count).range(of: probeCount) }
    }
}
