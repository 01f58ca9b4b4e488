internal import PartitionStore
internal import Synchronization

/// The rows that pass the filters searched with lately, where finding them took a while.
///
/// A row's metadata never changes: a face that is replaced gets a new row, and so does one whose chunk is emptied. What
/// one commit's rows were found to be holds in every later commit, and a later search only looks at the rows that have
/// come since. Rows that died since stay in the set; tombstones keep them out.
final class FilterCache: Sendable {
    /// Filters kept. One takes a bit for each row: 16 take 2 MB for a million.
    private static let capacity = 16

    private struct Entry {
        let filter: RecordFilter
        /// The commit whose rows were looked at; an earlier one may have live rows that this one has not.
        let transactionNumber: UInt64
        let bitmap: RowBitmap
    }

    /// Latest use last.
    private let entries = Mutex<[Entry]>([])

    var byteCount: Int { entries.withLock { $0.reduce(0) { $0 + $1.bitmap.byteCount } } }

    /// What is known in a transaction; nil for nothing.
    func bitmap(of filter: RecordFilter, inTransaction number: UInt64) -> RowBitmap? {
        entries.withLock { entries in
            guard let index = entries.firstIndex(where: { $0.filter == filter }),
                entries[index].transactionNumber <= number
            else { return nil }
            let entry = entries.remove(at: index)
            entries.append(entry)
            return entry.bitmap
        }
    }

    /// Keeps what a search found, unless a later one has been quicker.
    func keep(_ bitmap: RowBitmap, of filter: RecordFilter, fromTransaction number: UInt64) {
        entries.withLock { entries in
            if let index = entries.firstIndex(where: { $0.filter == filter }) {
                if entries[index].transactionNumber >= number { return }
                entries.remove(at: index)
            } else if entries.count == Self.capacity {
                entries.removeFirst()
            }
            entries.append(Entry(filter: filter, transactionNumber: number, bitmap: bitmap))
        }
    }
}
