/// How much of its log a replica keeps for others that catch up. Pure.
///
/// A replica that needs entries from before gets a copy of the partition instead.
package struct LogHorizon: Sendable {
    /// Bytes of entries that are always kept, and those kept while another replica still wants them.
    package let keptByteCount: Int
    package let wantedByteCount: Int

    /// Most bytes that one commit forgets, but for a single end: what has grown while entries were wanted goes by and
    /// by.
    package static let forgottenAtOnceByteCount = 256 << 20

    /// Where entries of this session end, and stretches of those that were there before, with the bytes of all up to
    /// each.
    private var ends: [(sequence: UInt64, byteCount: Int)] = []
    private var byteCount = 0
    private var start = 0
    /// Of what is forgotten.
    private var forgottenByteCount = 0

    package init(keptByteCount: Int, wantedByteCount: Int) {
        self.keptByteCount = keptByteCount
        self.wantedByteCount = max(keptByteCount, wantedByteCount)
    }

    /// An entry is in the log, or all of a stretch through it was when the session began.
    ///
    /// - Parameter byteCount: in the file, so that a restart changes nothing of what may be forgotten.
    package mutating func appended(_ sequence: UInt64, byteCount: Int) {
        self.byteCount += byteCount
        ends.append((sequence, self.byteCount))
    }

    /// Entries behind this one are gone.
    package mutating func truncated(after sequence: UInt64) {
        while let last = ends.last, last.sequence > sequence, ends.count > start { ends.removeLast() }
        byteCount = ends.count > start ? ends[ends.count - 1].byteCount : forgottenByteCount
    }

    /// The last entry that may be forgotten; nil when none may.
    ///
    /// - Parameters:
    ///   - applied: the last entry applied; it is kept, since the next one is told by its epoch.
    ///   - wanted: entries behind this one are wanted by another replica; nil when none is known to.
    ///   - copyByteCount: of a copy that such a replica is being sent, or has been: the log behind it stays while it is
    ///     shorter than another copy would be.
    package func forgettable(applied: UInt64, wanted: UInt64?, copyByteCount: Int = 0) -> UInt64? {
        guard applied > 1 else { return nil }
        guard let kept = lastEnded(by: byteCount - keptByteCount) else { return nil }
        let limit = lastEnded(by: byteCount - max(wantedByteCount, copyByteCount))
        let atOnce = lastEnded(by: forgottenByteCount + Self.forgottenAtOnceByteCount) ?? ends[start].sequence
        let through = min(max(min(kept, wanted ?? kept), limit ?? 0), applied - 1, atOnce)
        return through > 0 ? through : nil
    }

    /// About how many bytes the entries behind a sequence have, of those that are not forgotten.
    package func byteCount(after sequence: UInt64) -> Int {
        var (low, high) = (0, ends.count)
        while low < high {
            let middle = (low + high) / 2
            if ends[middle].sequence <= sequence { low = middle + 1 } else { high = middle }
        }
        return byteCount - max(forgottenByteCount, low > 0 ? ends[low - 1].byteCount : 0)
    }

    /// The last entry that ends at or before this many bytes; by halves, since every commit asks.
    private func lastEnded(by limit: Int) -> UInt64? {
        var (low, high) = (start, ends.count)
        while low < high {
            let middle = (low + high) / 2
            if ends[middle].byteCount <= limit { low = middle + 1 } else { high = middle }
        }
        return low > start ? ends[low - 1].sequence : nil
    }

    /// Entries through this one have been forgotten.
    package mutating func forgot(through sequence: UInt64) {
        while start < ends.count, ends[start].sequence <= sequence {
            forgottenByteCount = ends[start].byteCount
            start += 1
        }
        if start > 1024, start * 2 > ends.count {
            ends.removeFirst(start)
            start = 0
        }
    }
}
