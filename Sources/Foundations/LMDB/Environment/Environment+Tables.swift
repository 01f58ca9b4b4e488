import CLMDB
import Synchronization

extension Environment {
    /// Opens a table for as long as the environment is open. Opening it again gives an equal value.
    ///
    /// Commits on its own, so it must not be called inside a transaction.
    ///
    /// - Parameters:
    ///   - name: 1 to 511 bytes of UTF-8.
    ///   - integerKeys: keys are numbers (`UInt32`, `UInt64`), stored in native order.
    ///   - create: makes the table if there is none, durably.
    /// - Throws: `tableNotFound`, `tablesFull`, `wrongTableKind`, or what a commit throws.
    package func openTable(
        named name: String,
        integerKeys: Bool = false,
        create: Bool = false
    ) throws(LMDBError) -> Table {
        guard !name.isEmpty else { throw .keyEmpty }
        guard name.utf8.count <= Table.maxKeyByteCount else { throw .keyTooLong(byteCount: name.utf8.count) }
        return try tableOpening.withLock { _ throws(LMDBError) in
            do throws(LMDBError) {
                return try openExisting(name, integerKeys)
            } catch .tableNotFound where create {
                try write { transaction throws(LMDBError) in
                    let flags = MDB_CREATE | (integerKeys ? MDB_INTEGERKEY : 0)
                    _ = try unsafe openHandle(name, transaction.reading.handle, UInt32(flags))
                }
                return try openExisting(name, integerKeys)
            }
        }
    }

    private func openExisting(_ name: String, _ integerKeys: Bool) throws(LMDBError) -> Table {
        let (table, flags) = try unsafe readAndKeepTables { transaction throws(LMDBError) in
            let table = try unsafe openHandle(name, transaction, 0)
            unsafe learnMapBase(transaction)
            var flags: UInt32 = 0
            let code = unsafe mdb_dbi_flags(transaction, table, &flags)
            guard code == MDB_SUCCESS else { throw unsafe LMDBError(code: code, transaction: transaction) }
            return (table, flags)
        }
        guard flags == (integerKeys ? UInt32(MDB_INTEGERKEY) : 0) else {
            throw .wrongTableKind(name: name, path: path)
        }
        return Table(handle: table, environmentNumber: number, usesIntegerKeys: integerKeys)
    }

    private func openHandle(
        _ name: String,
        _ transaction: OpaquePointer,
        _ flags: UInt32
    ) throws(LMDBError) -> UInt32 {
        var table: UInt32 = 0
        switch unsafe mdb_dbi_open(transaction, name, flags, &table) {
        case MDB_SUCCESS: return table
        case MDB_NOTFOUND: throw .tableNotFound(name: name, path: path)
        case MDB_INCOMPATIBLE: throw .wrongTableKind(name: name, path: path)
        case let code: throw unsafe LMDBError(code: code, transaction: transaction)
        }
    }
}
