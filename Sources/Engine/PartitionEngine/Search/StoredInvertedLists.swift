internal import InvertedFileIndex
internal import PartitionStore

/// The index's view of stored codes: every run's part of a list, in place.
struct StoredInvertedLists: InvertedLists {
    let snapshot: CodeSnapshot
    let liveness: RowLiveness
    let planeCount: Int

    func forEachBlock(ofList list: UInt32, _ body: (CodeBlock) -> Void) throws(PartitionStoreError) {
        for run in snapshot.runs {
            let manifest = run.manifest
            var slot = Int(manifest.firstSlots[Int(list)])
            var remaining = Int(manifest.listRowCounts[Int(list)])
            while remaining > 0 {
                let chunk = slot / CodeChunk.slotCount
                let firstSlot = slot % CodeChunk.slotCount
                let rowCount = min(remaining, CodeChunk.slotCount - firstSlot)
                let key = CodeChunkKey(run: manifest.run, chunk: UInt32(chunk))
                let view = try unsafe CodeChunk(run.chunks[chunk], planeCount: planeCount, key: key)
                if !run.marks.isMarked(chunk) {
                    try view.verify(key)
                    run.marks.mark(chunk)
                }
                unsafe body(
                    CodeBlock(
                        firstPlane: view.planes + 16 * firstSlot,
                        planeStride: CodeChunk.planeByteCount,
                        groupCount: (rowCount + 15) / 16,
                        rowCount: rowCount,
                        factors: view.factors + firstSlot,
                        rowIDs: view.rowIDs + firstSlot,
                        greatestFactor: view.greatestFactor
                    )
                )
                slot += rowCount
                remaining -= rowCount
            }
        }
    }

    func isLive(row: UInt32) -> Bool { liveness.isLive(row) }
}
