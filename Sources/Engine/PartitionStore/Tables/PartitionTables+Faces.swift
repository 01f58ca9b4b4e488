package import FaceModel
package import LMDB

extension PartitionTables {
    /// The face that a live row belongs to.
    package func face(ofRow row: UInt32, _ transaction: borrowing ReadTransaction) throws -> FaceID {
        guard let key = try unsafe transaction.value(of: rowFaces, key: row), let face = unsafe FaceID(keyBytes: key)
        else { throw PartitionStoreError.missing(table: "rowFaces", key: UInt64(row)) }
        return face
    }

    /// The record of the face that a live row belongs to.
    package func record(
        of face: FaceID,
        inRow row: UInt32,
        _ transaction: borrowing ReadTransaction
    ) throws -> FaceRecord {
        guard let bytes = try unsafe transaction.value(of: faces, key: face) else {
            throw PartitionStoreError.missing(table: "faces", key: face.high)
        }
        let record = try unsafe FaceRecord(bytes: bytes, face: face)
        guard record.row == row else {
            throw PartitionStoreError.malformed(table: "rowFaces", reason: "a row that names another row's face")
        }
        return record
    }

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
