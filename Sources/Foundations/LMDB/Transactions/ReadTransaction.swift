import CLMDB

/// One unchanging view of an environment, as of its last commit.
///
/// Lent to the closure of ``Environment/read(_:)``, or as ``WriteTransaction/reading``; it cannot be copied or kept.
/// While it lives, no page that it sees is reused: keep it short. Buffers it gives out are views of the map, without
/// copying: valid until the transaction ends (in a write transaction: until its next change), and not to be written to.
@usableFromInline
@safe
package struct ReadTransaction: ~Copyable {
    // Safe: begun and ended by `Environment`, which lends the transaction for one synchronous call.
    let handle: OpaquePointer
    let environmentNumber: UInt64
    /// Where what it gives out may lie; nil in a write transaction.
    let bounds: MapBounds?

    /// Number of the commit that this transaction sees; in a write transaction, the number it will have.
    package var number: UInt64 { unsafe UInt64(mdb_txn_id(handle)) }

    /// The value of `key` in the map itself; `nil` if there is none.
    @inlinable
    package func value(of table: Table, key: some Key) throws(LMDBError) -> UnsafeRawBufferPointer? {
        try unsafe key.withKeyBytes { bytes throws(LMDBError) in try unsafe lookUp(table, bytes) }
    }

    /// Begins to read values that are wanted whole and soon, and does not wait for them; a key without one is passed
    /// over.
    package func readAhead(of table: Table, keys: some Sequence<some Key>) throws(LMDBError) {
        for key in keys {
            if let value = try unsafe value(of: table, key: key) { unsafe MappedPages.readAhead(value) }
        }
    }

    /// Whether `key` has a value.
    @inlinable
    package func contains(_ table: Table, key: some Key) throws(LMDBError) -> Bool {
        try unsafe value(of: table, key: key) != nil
    }

    /// What `body` makes of the value of `key`; `nil` if there is none.
    @inlinable
    package func withValue<R: ~Copyable>(
        of table: Table,
        key: some Key,
        _ body: (RawSpan) throws(LMDBError) -> R
    ) throws(LMDBError) -> R? {
        guard let value = try unsafe value(of: table, key: key) else { return nil }
        return try unsafe body(value.bytes)
    }

    /// What `body` makes of the value of `key`; `nil` if there is none.
    @inlinable
    package func withValue<R: ~Copyable>(
        of table: Table,
        key: some Key,
        _ body: (RawSpan) throws -> R
    ) throws -> R? {
        guard let value = try unsafe value(of: table, key: key) else { return nil }
        return try unsafe body(value.bytes)
    }

    /// Lends `body` a cursor on `table` and closes it.
    package func withCursor<R: ~Copyable>(
        _ table: Table,
        _ body: (borrowing Cursor) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        let cursor = try unsafe openCursor(table)
        defer { unsafe mdb_cursor_close(cursor) }
        return try unsafe body(Cursor(handle: cursor, table: table, bounds: bounds))
    }

    /// Lends `body` a cursor on `table` and closes it.
    package func withCursor<R: ~Copyable>(
        _ table: Table,
        _ body: (borrowing Cursor) throws -> R
    ) throws -> R {
        let cursor = try unsafe openCursor(table)
        defer { unsafe mdb_cursor_close(cursor) }
        return try unsafe body(Cursor(handle: cursor, table: table, bounds: bounds))
    }

    /// Calls `body` with every entry of `range` in key order until it says stop. `body` must not change the table.
    package func forEach(
        in table: Table,
        _ range: KeyRange = .all,
        _ body: (Entry) throws(LMDBError) -> Step
    ) throws(LMDBError) {
        try withCursor(table) { cursor throws(LMDBError) in
            var entry = try unsafe cursor.start(of: range)
            var readAhead = ScanReadAhead(isNeeded: readsSinglePages)
            while let found = unsafe entry, try unsafe cursor.isInside(range, found) {
                unsafe readAhead.reach(found)
                guard try unsafe body(found) == .next else { return }
                unsafe entry = try cursor.next()
            }
        }
    }

    /// Calls `body` with every entry of `range` in key order until it says stop. `body` must not change the table.
    package func forEach(
        in table: Table,
        _ range: KeyRange = .all,
        _ body: (Entry) throws -> Step
    ) throws {
        try withCursor(table) { cursor in
            var entry = try unsafe cursor.start(of: range)
            var readAhead = ScanReadAhead(isNeeded: readsSinglePages)
            while let found = unsafe entry, try unsafe cursor.isInside(range, found) {
                unsafe readAhead.reach(found)
                guard try unsafe body(found) == .next else { return }
                unsafe entry = try cursor.next()
            }
        }
    }

    /// Number of entries of `table`. Takes constant time.
    package func count(of table: Table) throws(LMDBError) -> Int {
        try statistics(of: table).entryCount
    }

    /// Shape and size of `table`. Takes constant time.
    package func statistics(of table: Table) throws(LMDBError) -> TableStatistics {
        check(table)
        var result = MDB_stat()
        let code = unsafe mdb_stat(handle, table.handle, &result)
        guard code == MDB_SUCCESS else { throw unsafe LMDBError(code: code, transaction: handle) }
        return TableStatistics(result)
    }

    @usableFromInline
    func lookUp(_ table: Table, _ key: UnsafeRawBufferPointer) throws(LMDBError) -> UnsafeRawBufferPointer? {
        check(table)
        var value = unsafe MDB_val()
        let code = try unsafe table.withStoredKey(key) { key in
            unsafe mdb_get(handle, table.handle, &key, &value)
        }
        switch code {
        case MDB_SUCCESS:
            let bytes = unsafe UnsafeRawBufferPointer(start: value.mv_data, count: value.mv_size)
            if let bounds, unsafe !bounds.holds(bytes) {
                throw unsafe LMDBError(code: MDB_CORRUPTED, transaction: handle)
            }
            return unsafe bytes
        case MDB_NOTFOUND: return nil
        default: throw unsafe LMDBError(code: code, transaction: handle)
        }
    }

    /// Whether pages that are missing in memory are read alone.
    private var readsSinglePages: Bool {
        var flags: UInt32 = 0
        return unsafe mdb_env_get_flags(mdb_txn_env(handle), &flags) == MDB_SUCCESS
            && flags & UInt32(MDB_NORDAHEAD) != 0
    }

    func check(_ table: Table) {
        precondition(table.environmentNumber == environmentNumber, "the table belongs to another environment")
    }

    private func openCursor(_ table: Table) throws(LMDBError) -> OpaquePointer {
        check(table)
        var cursor: OpaquePointer?
        let code = unsafe mdb_cursor_open(handle, table.handle, &cursor)
        guard code == MDB_SUCCESS, let cursor = unsafe cursor else {
            throw unsafe LMDBError(code: code, transaction: handle)
        }
        return unsafe cursor
    }
}

extension Cursor {
    /// Goes to the first entry at or after the lower bound of `range`.
    func start(of range: KeyRange) throws(LMDBError) -> Entry? {
        try unsafe range.lower.isEmpty ? first() : seek(to: range.lower)
    }

    /// Whether `entry` comes before the upper bound of `range`, in the table's own order.
    func isInside(_ range: KeyRange, _ entry: Entry) throws(LMDBError) -> Bool {
        guard let upper = range.upper else { return true }
        return try unsafe upper.withKeyBytes { upper throws(LMDBError) in
            try unsafe table.withStoredKey(upper) { upper in
                var key = unsafe MDB_val(
                    mv_size: entry.key.count,
                    mv_data: UnsafeMutableRawPointer(mutating: entry.key.baseAddress)
                )
                return unsafe mdb_cmp(mdb_cursor_txn(handle), table.handle, &key, &upper) < 0
            }
        }
    }
}
