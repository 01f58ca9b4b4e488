internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore

/// A merge of runs that is under way: live rows of some runs are copied list by list into a new one, a slice of rows in
/// each commit. No search sees the new run before the last slice is there.
///
/// A value is what is known of the slices that are committed: who does the next one works on a copy and keeps it once
/// the slice is durable. It lies in memory alone, so a merge that is cut short begins anew.
struct RunMerge: Sendable {
    /// Which runs are merged; at most one merge of each kind is under way.
    enum Kind: Sendable {
        /// Those that searches scan, to make them fewer or to do without their dead rows.
        case compaction
        /// Those that rows of the older codebook were coded into again.
        case recoding
    }

    /// The run that is written.
    let run: UInt32
    /// Runs that are read, in order of their rows.
    let inputs: [UInt32]
    private var writer: RunWriter
    // The next row to read: of which list, which input, and which of the list's rows there.
    private var list = 0
    private var input = 0
    private var position = 0

    init(of inputs: [UInt32], into run: UInt32, codebook: Codebook, tables: PartitionTables) {
        self.run = run
        self.inputs = inputs
        writer = RunWriter(
            run: run,
            generation: codebook.generation,
            planeCount: codebook.plan.planeCount,
            listCount: codebook.listCount,
            tables: tables,
            // Folds between two slices have made younger runs.
            appends: false
        )
    }

    /// Copies the next rows; whether they were the last.
    ///
    /// - Parameters:
    ///   - inputs: as in ``inputs``.
    ///   - rowLimit: rows that are read at most, and slots after which no other list is begun.
    mutating func copySlice(
        of inputs: [CodeSnapshot.Run],
        codebook: Codebook,
        liveness: RowLiveness,
        rowLimit: Int,
        _ transaction: borrowing WriteTransaction
    ) throws -> Bool {
        let planeCount = codebook.plan.planeCount
        var code = [UInt8](repeating: 0, count: codebook.plan.codeByteCount)
        let endSlot = Int(writer.slot) + rowLimit
        readAhead(inputs, rowLimit: rowLimit, planeCount: planeCount)
        var readCount = 0
        var verified: Set<CodeChunkKey> = []
        while list < codebook.listCount, readCount < rowLimit, Int(writer.slot) < endSlot {
            let source = inputs[input]
            let end = Int(source.manifest.listRowCounts[list])
            let rows = position..<min(end, position + rowLimit - readCount)
            try Partition.forEachCode(
                of: source,
                list: list,
                rows: rows,
                planeCount: planeCount,
                into: &code,
                verified: &verified
            ) { (stored, code) in
                guard liveness.isLive(stored.rowID) else { return }
                try writer.add(
                    list: UInt32(list),
                    row: stored.rowID,
                    code: code[...],
                    factor: stored.factor,
                    transaction
                )
            }
            readCount += rows.count
            position = rows.upperBound
            if position == end { (input, position) = (input + 1, 0) }
            if input == inputs.count { (list, input) = (list + 1, 0) }
        }
        return list == codebook.listCount
    }

    /// Begins to read the chunks that the next rows lie in.
    private func readAhead(_ inputs: [CodeSnapshot.Run], rowLimit: Int, planeCount: Int) {
        let listCount = inputs[0].manifest.listRowCounts.count
        var end = list
        var rowCount = 0
        while end < listCount, rowCount < rowLimit {
            rowCount += inputs.reduce(0) { $0 + Int($1.manifest.listRowCounts[end]) }
            end += 1
        }
        for run in inputs {
            let slotsPerChunk = run.slotCount(planeCount: planeCount)
            let slots = Int(run.manifest.firstSlots[list])..<Int(run.manifest.firstSlots[end])
            if slots.isEmpty { continue }
            for chunk in slots.lowerBound / slotsPerChunk...(slots.upperBound - 1) / slotsPerChunk {
                unsafe MappedPages.readAhead(run.chunks[chunk])
            }
        }
    }

    /// Ends the run after the last slice; the rows that it holds. One without rows leaves nothing behind.
    mutating func finish(of inputs: [CodeSnapshot.Run], _ transaction: borrowing WriteTransaction) throws -> UInt32 {
        try writer.finish(
            firstRow: inputs[0].manifest.firstRow,
            endRow: inputs[inputs.count - 1].manifest.endRow,
            transaction
        )
    }
}
