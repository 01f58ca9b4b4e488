internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import VectorMath

/// The index's view of stored codes: the part of the lists that each run of one codebook holds, in place.
struct StoredInvertedLists: InvertedLists {
    let runs: [CodeSnapshot.Run]
    let liveness: RowLiveness
    let planeCount: Int
    /// Of the partition's codes.
    let cold: ColdPages
    let reading: Reading

    /// Tells whoever scans whether codes were read since it looked last.
    final class Reading {
        var isUnderWay = false
    }

    func announce(lists: ArraySlice<UInt32>) throws {
        guard cold.isAttentive else { return }
        var isAnyMissing = false
        for run in runs {
            let firstSlots = run.manifest.firstSlots
            for list in lists {
                let slots = Int(firstSlots[Int(list)])..<Int(firstSlots[Int(list) + 1])
                try forEachChunk(of: run, slots: slots) { (chunk, _, slots) throws(PartitionStoreError) in
                    let parts = unsafe chunk.parts(ofSlots: slots)
                    for index in unsafe parts.indices where unsafe !MappedPages.isResident(parts[index]) {
                        unsafe MappedPages.readAhead(parts[index])
                        isAnyMissing = true
                    }
                }
            }
        }
        cold.noteReading(isAnyMissing: isAnyMissing)
    }

    func forEachBlock(
        ofLists lists: ArraySlice<UInt32>,
        _ body: (VectorKernels.CodeBlock) -> Void
    ) throws -> Int {
        reading.isUnderWay = true
        var rowCount = 0
        for run in runs {
            let manifest = run.manifest
            var index = lists.startIndex
            while index < lists.endIndex {
                let first = manifest.firstSlots[Int(lists[index])]
                var end = first
                // Lists lie one behind the other, each from a whole group on: neighbours make one span.
                repeat {
                    let list = Int(lists[index])
                    end = manifest.firstSlots[list + 1]
                    rowCount += Int(manifest.listRowCounts[list])
                    index += 1
                } while index < lists.endIndex && manifest.firstSlots[Int(lists[index])] == end
                try forEachBlock(of: run, slots: Int(first)..<Int(end), body)
            }
        }
        return rowCount
    }

    /// Passes a span of slots chunk by chunk.
    private func forEachBlock(
        of run: CodeSnapshot.Run,
        slots: Range<Int>,
        _ body: (VectorKernels.CodeBlock) -> Void
    ) throws(PartitionStoreError) {
        try forEachChunk(of: run, slots: slots) { (chunk, key, slots) throws(PartitionStoreError) in
            let number = Int(key.chunk)
            if !run.marks.isMarked(number) {
                try chunk.verify(key)
                run.marks.mark(number)
            }
            unsafe body(
                VectorKernels.CodeBlock(
                    heads: chunk.heads + VectorKernels.planeByteCount * slots.lowerBound,
                    headStride: chunk.headByteCount,
                    records: chunk.records + VectorKernels.recordByteCount(planeCount: planeCount) * slots.lowerBound,
                    groupCount: slots.count / VectorKernels.groupRows
                )
            )
        }
    }

    /// Passes the chunks of a span of slots, each with its key and which of its slots they are.
    @inline(__always)
    private func forEachChunk(
        of run: CodeSnapshot.Run,
        slots: Range<Int>,
        _ body: (CodeChunk, CodeChunkKey, Range<Int>) throws(PartitionStoreError) -> Void
    ) throws(PartitionStoreError) {
        let slotsPerChunk = run.slotCount(planeCount: planeCount)
        var slot = slots.lowerBound
        while slot < slots.upperBound {
            let number = slot / slotsPerChunk
            let first = slot % slotsPerChunk
            let count = min(slots.upperBound - slot, slotsPerChunk - first)
            let key = CodeChunkKey(run: run.manifest.run, chunk: UInt32(number))
            let chunk = try unsafe CodeChunk(
                run.chunks[number],
                planeCount: planeCount,
                slotCount: slotsPerChunk,
                key: key
            )
            try body(chunk, key, first..<first + count)
            slot += count
        }
    }

    func keepLive(
        rows: UnsafeMutableBufferPointer<UInt32>,
        estimates: UnsafeMutableBufferPointer<Float>
    ) -> Int {
        if liveness.keepsAll { return rows.count }
        var kept = 0
        for index in rows.indices where unsafe liveness.isLive(rows[index]) {
            unsafe rows[kept] = unsafe rows[index]
            unsafe estimates[kept] = unsafe estimates[index]
            kept += 1
        }
        return kept
    }
}
