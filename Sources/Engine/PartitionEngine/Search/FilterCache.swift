internal import FaceModel
internal import PartitionStore
internal import Synchronization

/// The rows that pass the filters searched with lately, where finding them took a while.
///
/// A row's metadata never changes: a face that is replaced gets a new row, and so does one whose chunk is emptied. What
/// one commit's rows were found to be holds in every later commit, and a later search only looks at the rows that have
/// come since, and at those that a search did not come to before it was stopped. Rows that died since stay in the set;
/// tombstones keep them out.
final class FilterCache: Sendable {
    /// How far searches have come with one filter.
    struct Found: Sendable {
        /// The commit that was looked at last; an earlier one may have live rows that this one has not.
        var transactionNumber: UInt64 = 0
        /// Of the rows looked at, those that pass.
        var bitmap = RowBitmap()
        /// Nil when all rows below the bitmap's bound were looked at.
        var walk: Walk?
        /// Rows that pass and live in a commit all of whose rows were looked at, hidden ones among them: copies share
        /// it, and later finds with the same filter.
        let liveCount = CommitCount()

        /// Rows below were looked at.
        var wholeRowCount: UInt32 { walk?.firstRow ?? bitmap.rowCount }

        func isFurther(than other: Found) -> Bool {
            if wholeRowCount != other.wholeRowCount { return wholeRowCount > other.wholeRowCount }
            guard let last = walk?.last else { return false }
            guard let otherLast = other.walk?.last else { return true }
            return last > otherLast
        }
    }

    /// A walk over the faces, in order of their ids, that has not come to its end.
    ///
    /// It goes on in any later commit. Whoever has a row below the bitmap's bound then had it when the walk began; of
    /// the faces that were passed, others have rows behind the bound.
    struct Walk: Sendable {
        /// Rows from here to the bitmap's bound were looked at where they are of faces up to `last`.
        let firstRow: UInt32
        var last: FaceID?
    }

    /// Filters kept. One takes at most a bit for each row: 16 take 2 MB for a million.
    private static let capacity = 16

    private struct Entry {
        let filter: RecordFilter
        let found: Found
    }

    /// Latest use last.
    private let entries = Mutex<[Entry]>([])

    var byteCount: Int { entries.withLock { $0.reduce(0) { $0 + $1.found.bitmap.byteCount } } }

    /// What is known in a transaction; nil for nothing.
    func found(with filter: RecordFilter, inTransaction number: UInt64) -> Found? {
        entries.withLock { entries in
            guard let index = entries.firstIndex(where: { $0.filter == filter }),
                entries[index].found.transactionNumber <= number
            else { return nil }
            let entry = entries.remove(at: index)
            entries.append(entry)
            return entry.found
        }
    }

    /// Keeps what a search found, unless another has come as far.
    func keep(_ found: Found, with filter: RecordFilter) {
        entries.withLock { entries in
            let index = entries.firstIndex { $0.filter == filter }
            guard found.isFurther(than: index.map { entries[$0].found } ?? Found()) else { return }
            if let index {
                entries.remove(at: index)
            } else if entries.count == Self.capacity {
                entries.removeFirst()
            }
            entries.append(Entry(filter: filter, found: found))
        }
    }
}
