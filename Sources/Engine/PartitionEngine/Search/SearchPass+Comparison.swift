internal import FaceModel
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// Comparison of probes with stored embeddings.
extension SearchPass {
    /// Scattered rows compared between two questions whether to stop: each may wait for the disk.
    private static let rowsPerComparison = 32
    /// Chunks that are read ahead at once where they may not be in memory: a megabyte of roundings.
    private static let chunksPerAnnouncement: UInt32 = 16

    /// Compares every probe with some live rows.
    mutating func compare(
        _ rowIDs: [UInt32],
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws {
        let range = part.slice.range(of: rowIDs.count)
        outcome.flatRowsPlanned += UInt64(range.count * probes.rowCount)
        for first in stride(from: range.lowerBound, to: range.upperBound, by: Self.rowsPerComparison) {
            if shouldStop() { return }
            // The rows of a block stay in cache from probe to probe.
            let block = Array(rowIDs[first..<min(range.upperBound, first + Self.rowsPerComparison)])
            for probe in 0..<probes.rowCount { try compare(block, withProbe: probe, transaction) }
            noteFaults(of: partition.coldRows)
            outcome.rowsVisited += UInt64(block.count * probes.rowCount)
            outcome.flatRowsDone += UInt64(block.count * probes.rowCount)
        }
    }

    /// Compares one probe with scattered live rows; whether it had to wait for the disk is for the caller to notice.
    mutating func compare(
        _ rowIDs: [UInt32],
        withProbe probe: Int,
        _ transaction: borrowing ReadTransaction
    ) throws {
        let begin = StageClock.now
        defer { outcome.stages.compare += StageClock.now - begin }
        if partition.coldRows.isAttentive {
            try compareReadingLittle(rowIDs, withProbe: probe, transaction)
        } else {
            try compareAtOnce(rowIDs, withProbe: probe, transaction)
        }
    }

    /// Compares one probe with scattered live rows, wherever they are.
    mutating func compareAtOnce(
        _ rowIDs: [UInt32],
        withProbe probe: Int,
        _ transaction: borrowing ReadTransaction
    ) throws {
        let floor = self.floor
        // Read once: within the loop, each use of a member of `self` would be a copy.
        let rows = plan.rows
        try unsafe withUnsafeTemporaryAllocation(of: UnsafeRawPointer?.self, capacity: rowIDs.count) { pointers in
            for (index, row) in rowIDs.enumerated() {
                guard let pointer = try unsafe rows.row(row, transaction) else {
                    throw PartitionStoreError.missing(table: "rows", key: UInt64(row))
                }
                unsafe pointers[index] = unsafe pointer
            }
            unsafe withUnsafeTemporaryAllocation(of: Float.self, capacity: rowIDs.count) { similarities in
                unsafe probes.row(probe).withUnsafeBufferPointer { probe in
                    unsafe RowKernel.similarities(
                        probe: probe,
                        rows: UnsafeBufferPointer(pointers),
                        shape: rows.shape,
                        into: similarities
                    )
                }
                for (index, row) in rowIDs.enumerated() {
                    let similarity = unsafe similarities[index]
                    if similarity >= floor { offer(row, similarity, probe: probe) }
                }
            }
        }
    }

    /// Compares every probe with every live row from `first` on, the first of a full chunk or of the tail.
    ///
    /// Of chunks without a live row nothing is asked but that: most of them are gone. Threads share out the others.
    mutating func scanRows(
        from first: UInt32,
        _ transaction: borrowing ReadTransaction,
        shouldStop: () -> Bool
    ) throws {
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        // Read once: within the loop, each use of a member of `self` would be a copy.
        let rows = plan.rows
        let liveness = plan.liveness
        var isStopped = false
        let tailCount = Int(state.nextRow - rows.sealedRow)
        let blockRowCount = rows.sealedRow > first ? RowChunk.rowCount : tailCount
        var similarities = [Float](repeating: 0, count: probes.rowCount * blockRowCount)
        if rows.sealedRow > first {
            let roundedRows = RoundedRowReader(partition: partition, state: state, transaction: transaction.number)
            var rounded = RoundedProbes(probes)
            // By their places among the chunks with live rows.
            let places = part.slice.range(of: plan.flatChunkCount)
            var place = 0
            var announcedChunk = first / rowsPerChunk
            for chunk in first / rowsPerChunk..<rows.sealedRow / rowsPerChunk where place < places.upperBound {
                let liveCount = liveness.liveCount(inChunk: chunk)
                if liveCount == 0 { continue }
                defer { place += 1 }
                guard places.contains(place) else { continue }
                outcome.flatRowsPlanned += UInt64(liveCount * probes.rowCount)
                isStopped = isStopped || shouldStop()
                if isStopped { continue }
                if chunk >= announcedChunk {
                    noteFaults(of: partition.coldRows)
                    announcedChunk = chunk + Self.chunksPerAnnouncement
                    if partition.coldRows.isAttentive {
                        let ahead = chunk..<min(announcedChunk, rows.sealedRow / rowsPerChunk)
                        try transaction.readAhead(of: partition.tables.roundedRows, keys: ahead)
                    }
                }
                if let roundings = try roundedRows.chunk(chunk, transaction) {
                    try compare(roundings, firstRow: chunk * rowsPerChunk, &rounded, transaction)
                } else if let bytes = try unsafe rows.chunk(chunk, transaction) {
                    unsafe compare(bytes, RowChunk.rowCount, firstRow: chunk * rowsPerChunk, &similarities)
                } else {
                    throw PartitionStoreError.missing(table: "rows", key: UInt64(chunk))
                }
                outcome.flatRowsDone += UInt64(liveCount * probes.rowCount)
            }
        }
        guard tailCount > 0, part.slice.isFirst else { return }
        let liveCount = liveness.liveCount(in: rows.sealedRow..<state.nextRow)
        outcome.flatRowsPlanned += UInt64(liveCount * probes.rowCount)
        if isStopped || liveCount == 0 { return }
        let tail = partition.tail(ofChunk: rows.sealedRow / rowsPerChunk)
        try unsafe tail.withRows(count: tailCount, partition.tables, transaction) { bytes in
            unsafe compare(bytes, tailCount, firstRow: rows.sealedRow, &similarities)
        }
        outcome.flatRowsDone += UInt64(liveCount * probes.rowCount)
    }

    /// Compares every probe with the live rows of a chunk whose roundings leave it open that they are among the best.
    ///
    /// What is left out has a similarity below that of the worst match kept, or the threshold: the outcome is, bit by
    /// bit, that of comparing every stored embedding.
    mutating func compare(
        _ chunk: RoundedRowChunk,
        firstRow: UInt32,
        _ rounded: inout RoundedProbes,
        _ transaction: borrowing ReadTransaction
    ) throws {
        rounded.multiply(by: chunk)
        outcome.rowsVisited += UInt64(RoundedRowChunk.rowCount * probes.rowCount)
        let floor = self.floor
        var comparedCount = 0
        for probe in 0..<probes.rowCount {
            let reaching = rounded.rows(of: chunk, reaching: max(floor, outcome.best[probe].threshold), probe: probe)
            if reaching.isEmpty { continue }
            let live = reaching.map { firstRow + $0 }.filter { plan.liveness.isLive($0) }
            try compare(live, withProbe: probe, transaction)
            comparedCount += live.count
        }
        if comparedCount > 0 { noteFaults(of: partition.coldRows) }
        outcome.rowsReranked += UInt64(comparedCount)
    }

    /// Compares every probe with rows side by side and offers those that live.
    ///
    /// - Parameter similarities: room for one of each row and probe.
    mutating func compare(
        _ bytes: UnsafeRawPointer,
        _ rowCount: Int,
        firstRow: UInt32,
        _ similarities: inout [Float]
    ) {
        unsafe RowKernel.similarities(
            probes: probes,
            rows: bytes,
            rowCount: rowCount,
            shape: plan.rows.shape,
            into: &similarities
        )
        outcome.rowsVisited += UInt64(rowCount * probes.rowCount)
        let floor = self.floor
        for probe in 0..<probes.rowCount {
            var least = max(floor, outcome.best[probe].threshold)
            unsafe similarities.withUnsafeBufferPointer { similarities in
                for offset in 0..<rowCount {
                    let similarity = unsafe similarities[probe * rowCount + offset]
                    guard similarity >= least else { continue }
                    let row = firstRow + UInt32(offset)
                    guard plan.liveness.isLive(row) else { continue }
                    offer(row, similarity, probe: probe)
                    least = max(floor, outcome.best[probe].threshold)
                }
            }
        }
    }

    /// Offers a live row that is not below the search's threshold.
    mutating func offer(_ row: UInt32, _ similarity: Float, probe: Int) {
        let isKept = outcome.best[probe].insert(score: min(1, max(-1, similarity)), id: UInt64(row))
        if isKept { lastSimilarities[probe] = nil }
    }
}
