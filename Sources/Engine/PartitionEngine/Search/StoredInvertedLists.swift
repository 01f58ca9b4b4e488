internal import InvertedFileIndex
internal import PartitionStore
internal import VectorMath

/// The index's view of stored codes: the part of the lists that each run of one codebook holds, in place.
struct StoredInvertedLists: InvertedLists {
    let runs: [CodeSnapshot.Run]
    let liveness: RowLiveness
    let planeCount: Int

    func forEachBlock(
        ofLists lists: ArraySlice<UInt32>,
        _ body: (VectorKernels.CodeBlock) -> Void
    ) throws -> Int {
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
        let slotsPerChunk = run.slotCount(planeCount: planeCount)
        var slot = slots.lowerBound
        while slot < slots.upperBound {
            let chunk = slot / slotsPerChunk
            let firstSlot = slot % slotsPerChunk
            let slotCount = min(slots.upperBound - slot, slotsPerChunk - firstSlot)
            let key = CodeChunkKey(run: run.manifest.run, chunk: UInt32(chunk))
            let view = try unsafe CodeChunk(
                run.chunks[chunk],
                planeCount: planeCount,
                slotCount: slotsPerChunk,
                key: key
            )
            if !run.marks.isMarked(chunk) {
                try view.verify(key)
                run.marks.mark(chunk)
            }
            unsafe body(
                VectorKernels.CodeBlock(
                    heads: view.heads + VectorKernels.planeByteCount * firstSlot,
                    headStride: view.headByteCount,
                    records: view.records + VectorKernels.recordByteCount(planeCount: planeCount) * firstSlot,
                    groupCount: slotCount / VectorKernels.groupRows
                )
            )
            slot += slotCount
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
