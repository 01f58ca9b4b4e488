internal import FaceModel
internal import PartitionStore
internal import Synchronization

/// Rows of faces that have expired and are still stored, as searches found them last.
///
/// A search looks only at what is new since: entries of `byExpiry` whose moment has come, and rows that have come with
/// a moment that had passed. Rows that died since stay in the set; tombstones keep them out, and no other face gets
/// them.
final class ExpiredRowCache: Sendable {
    struct Found: Sendable {
        /// The commit that was looked at; an earlier one may have live rows that this one has not.
        var transactionNumber: UInt64
        /// Rows from here on were not looked at.
        var rowCount: UInt32
        /// Every entry up to this one was looked at.
        var last: ExpiryKey
        var rows: RowSet
    }

    /// One for the newest commit, and one for searches that began just before it. Each takes at most a bit for each
    /// row.
    private static let capacity = 2

    /// By commit.
    private let entries = Mutex<[Found]>([])

    var byteCount: Int { entries.withLock { $0.reduce(0) { $0 + $1.rows.byteCount } } }

    /// The latest that holds in a transaction; nil for none.
    func latest(inTransaction number: UInt64) -> Found? {
        entries.withLock { $0.last { $0.transactionNumber <= number } }
    }

    func keep(_ found: Found) {
        entries.withLock { entries in
            if let place = entries.firstIndex(where: { $0.transactionNumber >= found.transactionNumber }) {
                if entries[place].transactionNumber > found.transactionNumber {
                    entries.insert(found, at: place)
                } else if entries[place].last < found.last {
                    entries[place] = found
                }
            } else {
                entries.append(found)
            }
            entries.removeFirst(max(0, entries.count - Self.capacity))
        }
    }

    /// Forgets what is over: in a commit no face is stored that expires up to an entry.
    func forget(through last: ExpiryKey, inTransaction number: UInt64) {
        entries.withLock { $0.removeAll { $0.transactionNumber <= number && $0.last <= last } }
    }
}
