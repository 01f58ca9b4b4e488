internal import LMDB
internal import PartitionStore
internal import Synchronization

/// The way for space to come back: rows never change place, so a chunk with one live row takes the room of 128.
extension Partition {
    /// Empties some of the chunks of which enough rows are dead, most dead first: their live rows get new ids and are
    /// appended again, bit for bit, and the chunks are removed. Whether there was anything to do.
    ///
    /// One commit, so a search meets each face once, under its old row or its new one. It is no write: faces, versions
    /// and the sequence stay what they are. The new rows are fresh and folded like others. With a codebook only folded
    /// chunks are emptied: a fold comes first, so fresh rows are fewer than one takes.
    ///
    /// Each chunk is verified whether or not it was before: its rows get a new checksum.
    func evacuate() throws -> Bool {
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        let hasCodebook = codebooks.withLock { $0.newest != nil }
        return try environment.read { reading in
            let before = try state(reading)
            guard before.nextRow < options.rowIDLimit else { return false }
            let tombstones = try tombstones(reading, rowCount: before.nextRow)
            let endChunk = (hasCodebook ? before.foldedRow : before.nextRow) / rowsPerChunk
            let firstChunk = min(endChunk, try firstStoredChunk(reading) ?? endChunk)
            let chunks = chunksToEmpty(tombstones, in: firstChunk..<endChunk)
            if chunks.isEmpty { return false }
            let liveness = RowLiveness(tombstones, hidden: [])
            try checkFreeDisk()
            let faces = try environment.write { transaction in
                rowAddresses.begin(withTransaction: transaction.reading.number)
                roundedRowAddresses.begin(withTransaction: transaction.reading.number)
                var pass = try WritePass(self, transaction)
                for chunk in chunks {
                    guard let bytes = try unsafe reading.value(of: tables.rows, key: chunk) else {
                        throw PartitionStoreError.missing(table: "rows", key: UInt64(chunk))
                    }
                    let view = try unsafe RowChunk(bytes, shape: shape)
                    try view.verify(chunk: chunk)
                    for offset in 0..<RowChunk.rowCount {
                        let row = chunk * rowsPerChunk + UInt32(offset)
                        guard liveness.isLive(row) else { continue }
                        let first = offset * shape.rowByteCount
                        try unsafe pass.move(
                            row,
                            stored: UnsafeRawBufferPointer(rebasing: view.rows[first..<first + shape.rowByteCount]),
                            transaction
                        )
                    }
                    try transaction.delete(tables.rows, key: chunk)
                    try transaction.delete(tables.roundedRows, key: chunk)
                }
                _ = try pass.finish(transaction)
                return pass.changedFaces
            }
            // Who follows may not have come to their new rows.
            faceChanges.note(faces)
            return true
        }
    }

    /// The chunks of one step, ascending: as many of the most dead as hold the rows of a step, and one at least. Those
    /// that are dead as a whole are the scrub's.
    private func chunksToEmpty(_ tombstones: Tombstones, in range: Range<UInt32>) -> [UInt32] {
        let leastDead = max(1, options.evacuationDeadShare * Double(RowChunk.rowCount))
        var candidates: [(chunk: UInt32, dead: Int)] = []
        for chunk in range {
            let dead = tombstones.deadCount(inChunk: chunk)
            if Double(dead) >= leastDead, dead < RowChunk.rowCount { candidates.append((chunk, dead)) }
        }
        candidates.sort { ($0.dead, $1.chunk) > ($1.dead, $0.chunk) }
        var chunks: [UInt32] = []
        var rowCount = 0
        for candidate in candidates {
            rowCount += RowChunk.rowCount - candidate.dead
            if rowCount > options.evacuationRowLimit, !chunks.isEmpty { break }
            chunks.append(candidate.chunk)
        }
        return chunks.sorted()
    }
}
