package import FaceModel
package import LMDB

extension PartitionTables {
    /// The stored record of a face; nil when there is none.
    ///
    /// LMDB's keys carry no checksum, and a damaged one would make its face absent. A look-up that it leads astray ends
    /// beside the damage: next to the damaged key, whose record does not pass under it, or on the wrong side of a page,
    /// where the neighbours do not enclose the id. So a miss is believed only between two sound neighbours.
    package func faceRecord(
        of id: FaceID,
        _ transaction: borrowing ReadTransaction
    ) throws -> UnsafeRawBufferPointer? {
        if let bytes = try unsafe transaction.value(of: faces, key: id) { return unsafe bytes }
        try transaction.withCursor(faces) { cursor in
            var previous: Entry?
            if let next = try unsafe cursor.seek(to: id) {
                try unsafe verify(next, follows: true, id)
                unsafe previous = try unsafe cursor.previous()
            } else {
                unsafe previous = try unsafe cursor.last()
            }
            if let previous = unsafe previous { try unsafe verify(previous, follows: false, id) }
        }
        return nil
    }

    private func verify(_ entry: Entry, follows: Bool, _ id: FaceID) throws {
        guard let neighbour = unsafe FaceID(keyBytes: entry.key), follows ? neighbour > id : neighbour < id else {
            throw PartitionStoreError.malformed(table: "faces", reason: "its keys are out of order")
        }
        _ = try unsafe RecordSeal.open(entry.value, under: neighbour, table: "faces", key: neighbour.high)
    }
}
