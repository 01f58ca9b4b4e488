internal import BinaryCoding
package import FaceModel
package import LMDB

extension PartitionTables {
    /// Lists a row under its face's person and external image.
    package func list(_ row: UInt32, of metadata: FaceMetadata, _ transaction: borrowing WriteTransaction) throws {
        for (table, key) in nameKeys(row, metadata) {
            try transaction.put(table, key: key, value: RecordSeal.seal(ByteWriter(), under: key))
        }
    }

    /// Takes back what ``list(_:of:_:)`` did.
    package func unlist(_ row: UInt32, of metadata: FaceMetadata, _ transaction: borrowing WriteTransaction) throws {
        for (table, key) in nameKeys(row, metadata) {
            guard try transaction.delete(table, key: key) else {
                throw PartitionStoreError.missing(table: Self.nameTable, key: UInt64(row))
            }
        }
    }

    /// Where a row is listed.
    private func nameKeys(_ row: UInt32, _ metadata: FaceMetadata) -> [(table: Table, key: NameKey)] {
        [(byPerson, metadata.personID), (byExternalImage, metadata.externalImageID)].compactMap { table, name in
            name.map { (table, NameKey(name: $0, row: row)) }
        }
    }

    /// The rows from `first` on that are listed under a name, ascending.
    ///
    /// A damaged key could hide rows: the list ends where the next name begins, and a look-up that damage leads astray
    /// ends beside it. So what lies before and behind the list must be sound too, and in order.
    package func rows(
        named name: [UInt8],
        from first: UInt32,
        in table: Table,
        _ transaction: borrowing ReadTransaction
    ) throws -> [UInt32] {
        let start = NameKey(name: name, row: first)
        var rows: [UInt32] = []
        try transaction.withCursor(table) { cursor in
            var entry = try unsafe cursor.seek(to: start)
            let previous = try unsafe entry == nil ? cursor.last() : cursor.previous()
            if let previous = unsafe previous {
                try unsafe verify(previous, follows: false, start)
                unsafe entry = try unsafe cursor.seek(to: start)
            }
            while let found = unsafe entry {
                try unsafe verify(found, follows: true, start)
                guard let row = unsafe start.row(inKeyBytes: found.key) else { break }
                guard row >= first, rows.last.map({ $0 < row }) ?? true else {
                    throw PartitionStoreError.malformed(table: Self.nameTable, reason: "its keys are out of order")
                }
                rows.append(row)
                unsafe entry = try cursor.next()
            }
        }
        return rows
    }

    private static var nameTable: String { "byPerson or byExternalImage" }

    private func verify(_ entry: Entry, follows: Bool, _ start: NameKey) throws {
        _ = try unsafe RecordSeal.open(entry.value, under: entry.key, table: Self.nameTable, key: 0)
        let isBefore = unsafe start.withKeyBytes { bytes in unsafe entry.key.lexicographicallyPrecedes(bytes) }
        guard isBefore != follows else {
            throw PartitionStoreError.malformed(table: Self.nameTable, reason: "its keys are out of order")
        }
    }
}
