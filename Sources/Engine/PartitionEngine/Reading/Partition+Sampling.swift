package import FaceModel
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// Embeddings of faces drawn at random, each at most once, unless it is replaced or moves between two pages.
///
/// A face is drawn when the hash of its row is low enough: so pages that are read one after the other have nothing in
/// common, and it does not matter how many rows have died.
extension Partition {
    /// A part of a sample, and where the next begins.
    package struct SamplePage: Sendable {
        package var embeddings: EmbeddingMatrix
        /// Nil when there is no more.
        package var next: UInt32?
    }

    /// Faces that one page looks at: some tens of milliseconds.
    private static let facesPerPage = 1 << 20

    /// As many embeddings as are asked for, or as there are faces, in random order.
    ///
    /// - Parameter seed: the same seed draws the same of the same data.
    package func sample(count: Int, seed: UInt64) throws(PartitionError) -> EmbeddingMatrix {
        do {
            return try environment.read { transaction in
                let state = try state(transaction)
                // Hardly ever fewer than are wanted; what is too much is left out.
                let expected = Double(count) + 5 * Double(count).squareRoot() + 16
                var drawn: [(hash: UInt64, row: UInt32)] = []
                _ = try draw(expected, of: state.faceCount, seed: seed, from: 0, transaction) { row, hash in
                    drawn.append((hash, row))
                    return true
                }
                drawn.sort { ($0.hash, $0.row) < ($1.hash, $1.row) }
                return try embeddings(of: drawn.prefix(count).map(\.row), state, transaction)
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// One page of a sample, in the order of the rows.
    ///
    /// - Parameters:
    ///   - count: most rows of the page.
    ///   - total: rows that all pages together are to have, about; all faces where there are fewer.
    ///   - seed: of all pages.
    ///   - first: where the page before ended; 0 for the first.
    package func samplePage(
        count: Int,
        of total: Int,
        seed: UInt64,
        from first: UInt32
    ) throws(PartitionError) -> SamplePage {
        do {
            return try environment.read { transaction in
                let state = try state(transaction)
                var rows: [UInt32] = []
                let next = try draw(
                    Double(total),
                    of: state.faceCount,
                    seed: seed,
                    from: first,
                    limit: Self.facesPerPage,
                    transaction
                ) { row, _ in
                    if rows.count == count { return false }
                    rows.append(row)
                    return true
                }
                return SamplePage(embeddings: try embeddings(of: rows, state, transaction), next: next)
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Tells of every row that is drawn, until it is not taken.
    ///
    /// - Parameter limit: faces that are looked at, at most.
    /// - Returns: the row that was not taken, or not looked at; nil when there was none.
    private func draw(
        _ expected: Double,
        of faceCount: UInt64,
        seed: UInt64,
        from first: UInt32,
        limit: Int = .max,
        _ transaction: borrowing ReadTransaction,
        taking take: (_ row: UInt32, _ hash: UInt64) -> Bool
    ) throws -> UInt32? {
        let share = expected / Double(max(faceCount, 1))
        let bound = share >= 1 ? UInt64.max : UInt64(share * 0x1p64)
        var next: UInt32?
        var seenCount = 0
        try unsafe transaction.forEach(in: tables.rowFaces, .from(first)) { entry in
            guard let row = unsafe entry.uint32Key else {
                throw PartitionStoreError.malformed(table: "rowFaces", reason: "a key that is no row")
            }
            var generator = SplitMix64(seed: seed ^ UInt64(row) &* 0x9e37_79b9_7f4a_7c15)
            let hash = generator.next()
            if seenCount == limit || (hash <= bound && !take(row, hash)) {
                next = row
                return .stop
            }
            seenCount += 1
            return .next
        }
        return next
    }

    /// - Throws: when a chunk is gone that has one of the rows, which live, or a row is not what its face's record
    ///   says.
    private func embeddings(
        of chosen: [UInt32],
        _ state: PartitionState,
        _ transaction: borrowing ReadTransaction
    ) throws -> EmbeddingMatrix {
        let rows = RowReader(partition: self, state: state, transaction: transaction.number)
        var values: [Float] = []
        values.reserveCapacity(chosen.count * shape.dimension)
        for row in chosen {
            let record = try tables.record(of: tables.face(ofRow: row, transaction), inRow: row, transaction)
            let bytes = try unsafe rows.stored(record, transaction)
            unsafe values.append(contentsOf: shape.floats(bytes.baseAddress!, count: 1))
        }
        return EmbeddingMatrix(dimension: shape.dimension, values: values)
    }
}
