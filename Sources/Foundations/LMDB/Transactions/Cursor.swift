import CLMDB
import Glibc

/// A position in one table, moved entry by entry in key order.
///
/// Exists inside ``ReadTransaction/withCursor(_:_:)`` only. A new cursor stands nowhere: `next` goes to the first
/// entry, `previous` to the last. At either end of the table it stays on the entry it has. After a `seek` or `find`
/// without a result it must be placed anew by `first`, `last`, `seek` or `find` before it moves on.
@usableFromInline
@safe
package struct Cursor: ~Copyable {
    // Safe: made and closed by `withCursor`, which lends it; it can be neither copied nor kept.
    let handle: OpaquePointer
    package let table: Table
    /// Where its entries may lie; nil in a write transaction.
    let bounds: MapBounds?

    /// Goes to the first entry; `nil` if the table is empty.
    package func first() throws(LMDBError) -> Entry? { try unsafe move(MDB_FIRST) }

    /// Goes to the last entry; `nil` if the table is empty.
    package func last() throws(LMDBError) -> Entry? { try unsafe move(MDB_LAST) }

    /// Goes to the next entry; `nil` at the end. After a deletion at the cursor this is the entry that followed it.
    package func next() throws(LMDBError) -> Entry? { try unsafe move(MDB_NEXT) }

    /// Goes to the entry before; `nil` at the beginning.
    package func previous() throws(LMDBError) -> Entry? { try unsafe move(MDB_PREV) }

    /// The entry at the cursor; `nil` if it stands nowhere.
    package func current() throws(LMDBError) -> Entry? { try unsafe move(MDB_GET_CURRENT) }

    /// Goes to the first entry whose key is `key` or after it; `nil` if there is none.
    @inlinable
    package func seek(to key: some Key) throws(LMDBError) -> Entry? {
        try unsafe key.withKeyBytes { bytes throws(LMDBError) in try unsafe position(bytes, exactly: false) }
    }

    /// Goes to the entry of `key`; `nil` if there is none.
    @inlinable
    package func find(_ key: some Key) throws(LMDBError) -> Entry? {
        try unsafe key.withKeyBytes { bytes throws(LMDBError) in try unsafe position(bytes, exactly: true) }
    }

    @usableFromInline
    func position(_ key: UnsafeRawBufferPointer, exactly: Bool) throws(LMDBError) -> Entry? {
        var value = unsafe MDB_val()
        let operation = exactly ? MDB_SET_KEY : MDB_SET_RANGE
        let (code, stored) = try unsafe table.withStoredKey(key) { key in
            unsafe (mdb_cursor_get(handle, &key, &value, operation), key)
        }
        return try unsafe entry(code, stored, value)
    }

    private func move(_ operation: MDB_cursor_op) throws(LMDBError) -> Entry? {
        var key = unsafe MDB_val()
        var value = unsafe MDB_val()
        let code = unsafe mdb_cursor_get(handle, &key, &value, operation)
        // LMDB's word for "no current entry" is EINVAL.
        if operation == MDB_GET_CURRENT && code == EINVAL { return nil }
        return try unsafe entry(code, key, value)
    }

    private func entry(_ code: Int32, _ key: MDB_val, _ value: MDB_val) throws(LMDBError) -> Entry? {
        guard code != MDB_NOTFOUND else { return nil }
        guard code == MDB_SUCCESS else { throw unsafe LMDBError(code: code, transaction: mdb_cursor_txn(handle)) }
        let entry = unsafe Entry(
            key: UnsafeRawBufferPointer(start: key.mv_data, count: key.mv_size),
            value: UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size),
            usesIntegerKeys: table.usesIntegerKeys
        )
        if let bounds {
            let isKeyInside = unsafe bounds.holdsInPage(UInt(bitPattern: key.mv_data), key.mv_size)
            guard isKeyInside, unsafe bounds.holds(entry.value) else {
                throw unsafe LMDBError(code: MDB_CORRUPTED, transaction: mdb_cursor_txn(handle))
            }
        }
        return unsafe entry
    }
}
