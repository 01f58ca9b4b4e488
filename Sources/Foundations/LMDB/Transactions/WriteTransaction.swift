import CLMDB

/// The one transaction that may change an environment at a time; committed as a whole or not at all.
///
/// Lent to the closure of ``Environment/write(_:)``; it cannot be copied or kept. It sees its own changes through
/// ``reading``. A change makes every buffer and ``Entry`` that the transaction gave out before invalid.
@usableFromInline
@safe
package struct WriteTransaction: ~Copyable {
    /// The reading half: pass it to whatever reads, here as in a read transaction.
    package let reading: ReadTransaction

    private var handle: OpaquePointer { unsafe reading.handle }

    init(_ reading: consuming ReadTransaction) {
        self.reading = reading
    }

    /// Stores `value` under `key`, in place of an older value unless `options` say otherwise.
    ///
    /// - Throws: `keyExists` and `appendOutOfOrder` as `options` ask for, after which the transaction can go on;
    ///   `mapFull`, disk errors and others, after which it cannot.
    @inlinable
    package func put(
        _ table: Table,
        key: some Key,
        value: UnsafeRawBufferPointer,
        options: PutOptions = []
    ) throws(LMDBError) {
        try unsafe key.withKeyBytes { key throws(LMDBError) in try unsafe store(table, key, value, options) }
    }

    /// Stores `value` under `key`, in place of an older value unless `options` say otherwise.
    @inlinable
    package func put(
        _ table: Table,
        key: some Key,
        value: RawSpan,
        options: PutOptions = []
    ) throws(LMDBError) {
        try unsafe value.withUnsafeBytes { value throws(LMDBError) in
            try unsafe put(table, key: key, value: value, options: options)
        }
    }

    /// Stores `value` under `key`, in place of an older value unless `options` say otherwise.
    @inlinable
    package func put(
        _ table: Table,
        key: some Key,
        value: [UInt8],
        options: PutOptions = []
    ) throws(LMDBError) {
        try unsafe put(table, key: key, value: value.span.bytes, options: options)
    }

    /// Makes a value of `byteCount` zero bytes under `key` and gives it out to be filled in place.
    ///
    /// The buffer is valid until the transaction's next change. It starts 16 bytes into a page if the value has about
    /// 2 KiB or more: a value of `n * 4096 - 16` bytes fills `n` pages.
    @inlinable
    package func reserve(
        _ table: Table,
        key: some Key,
        byteCount: Int,
        options: PutOptions = []
    ) throws(LMDBError) -> UnsafeMutableRawBufferPointer {
        try unsafe key.withKeyBytes { key throws(LMDBError) in try unsafe makeRoom(table, key, byteCount, options) }
    }

    /// Removes `key`; whether it had a value.
    @inlinable
    @discardableResult
    package func delete(_ table: Table, key: some Key) throws(LMDBError) -> Bool {
        try unsafe key.withKeyBytes { key throws(LMDBError) in try unsafe remove(table, key) }
    }

    /// Removes the entry that `cursor` of this transaction stands on; the cursor's `next` goes to the entry after it.
    package func delete(at cursor: borrowing Cursor) throws(LMDBError) {
        precondition(unsafe mdb_cursor_txn(cursor.handle) == handle, "the cursor belongs to another transaction")
        try check(unsafe mdb_cursor_del(cursor.handle, 0))
    }

    /// Removes every entry of `table`; the table stays.
    package func removeAll(_ table: Table) throws(LMDBError) {
        reading.check(table)
        try check(unsafe mdb_drop(handle, table.handle, 0))
    }

    /// Removes every entry of `range`; how many there were.
    @discardableResult
    package func removeAll(_ table: Table, in range: KeyRange) throws(LMDBError) -> Int {
        try reading.withCursor(table) { cursor throws(LMDBError) in
            var count = 0
            var entry = try unsafe cursor.start(of: range)
            while let found = unsafe entry, try unsafe cursor.isInside(range, found) {
                try delete(at: cursor)
                count += 1
                unsafe entry = try cursor.next()
            }
            return count
        }
    }

    @usableFromInline
    func store(
        _ table: Table,
        _ key: UnsafeRawBufferPointer,
        _ value: UnsafeRawBufferPointer,
        _ options: PutOptions
    ) throws(LMDBError) {
        var stored = unsafe MDB_val(mv_size: value.count, mv_data: UnsafeMutableRawPointer(mutating: value.baseAddress))
        try unsafe put(table, key, &stored, options, flags: 0)
    }

    @usableFromInline
    func makeRoom(
        _ table: Table,
        _ key: UnsafeRawBufferPointer,
        _ byteCount: Int,
        _ options: PutOptions
    ) throws(LMDBError) -> UnsafeMutableRawBufferPointer {
        precondition(byteCount >= 0)
        var stored = unsafe MDB_val(mv_size: byteCount, mv_data: nil)
        try unsafe put(table, key, &stored, options, flags: MDB_RESERVE)
        let buffer = unsafe UnsafeMutableRawBufferPointer(start: stored.mv_data, count: byteCount)
        // LMDB leaves old heap or page bytes here; what the caller does not fill must not reach the disk.
        unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0)
        return unsafe buffer
    }

    @usableFromInline
    func remove(_ table: Table, _ key: UnsafeRawBufferPointer) throws(LMDBError) -> Bool {
        reading.check(table)
        let code = try unsafe table.withStoredKey(key) { key in
            unsafe mdb_del(handle, table.handle, &key, nil)
        }
        guard code != MDB_NOTFOUND else { return false }
        try check(code)
        return true
    }

    private func put(
        _ table: Table,
        _ key: UnsafeRawBufferPointer,
        _ value: inout MDB_val,
        _ options: PutOptions,
        flags: Int32
    ) throws(LMDBError) {
        reading.check(table)
        let byteCount = unsafe value.mv_size
        guard byteCount <= Table.maxValueByteCount else { throw .valueTooLong(byteCount: byteCount) }
        let code = try unsafe table.withStoredKey(key) { key in
            unsafe mdb_put(handle, table.handle, &key, &value, UInt32(options.flags | flags))
        }
        if code == MDB_KEYEXIST { throw options.contains(.noOverwrite) ? .keyExists : .appendOutOfOrder }
        try check(code)
    }

    private func check(_ code: Int32) throws(LMDBError) {
        guard code == MDB_SUCCESS else { throw unsafe LMDBError(code: code, transaction: handle) }
    }
}

/// How a value is stored.
@usableFromInline
package struct PutOptions: OptionSet, Sendable {
    @usableFromInline
    package let rawValue: UInt8

    @usableFromInline
    package init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    /// The key follows every key of the table: faster, and fills pages whole. Else `appendOutOfOrder`.
    package static let append = PutOptions(rawValue: 1 << 0)
    /// The key has no value yet. Else `keyExists` (with `append` also if the key is out of order).
    package static let noOverwrite = PutOptions(rawValue: 1 << 1)

    var flags: Int32 {
        (contains(.append) ? MDB_APPEND : 0) | (contains(.noOverwrite) ? MDB_NOOVERWRITE : 0)
    }
}
