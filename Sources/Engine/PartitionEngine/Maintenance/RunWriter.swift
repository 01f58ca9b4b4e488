internal import LMDB
internal import PartitionStore
internal import VectorMath

/// Writes one run of codes: rows come list by list, chunks are packed and stored as they fill.
struct RunWriter {
    private let run: UInt32
    private let generation: UInt32
    private let planeCount: Int
    private let listCount: Int
    private let tables: PartitionTables
    /// No run is younger.
    private let appends: Bool
    private var firstSlots: [UInt32] = []
    private var listRowCounts: [UInt32] = []
    private var chunk: UInt32 = 0
    /// Row-major codes of the slots of the chunk being filled; empty slots are zero.
    private var codes: [UInt8]
    private var factors: [UInt16] = []
    private var rowIDs: [UInt32] = []
    private var rowCount: UInt32 = 0

    init(
        run: UInt32,
        generation: UInt32,
        planeCount: Int,
        listCount: Int,
        tables: PartitionTables,
        appends: Bool = true
    ) {
        self.run = run
        self.generation = generation
        self.planeCount = planeCount
        self.listCount = listCount
        self.tables = tables
        self.appends = appends
        codes = []
        codes.reserveCapacity(CodeChunk.slotCount * planeCount * 16)
    }

    /// The slot of the next row, unless that begins a list.
    var slot: UInt32 { chunk * UInt32(CodeChunk.slotCount) + UInt32(rowIDs.count) }

    /// Adds one row. Lists come in rising order.
    mutating func add(
        list: UInt32,
        row: UInt32,
        code: ArraySlice<UInt8>,
        factor: UInt16,
        _ transaction: borrowing WriteTransaction
    ) throws {
        precondition(Int(list) < listCount && Int(list) + 1 >= firstSlots.count, "lists come in rising order")
        try beginLists(through: list, transaction)
        codes.append(contentsOf: code)
        factors.append(factor)
        rowIDs.append(row)
        listRowCounts[Int(list)] += 1
        rowCount += 1
        if rowIDs.count == CodeChunk.slotCount { try writeChunk(transaction) }
    }

    /// Ends the run and stores its manifest; a run without rows leaves nothing behind. Returns the rows written.
    mutating func finish(
        firstRow: UInt32,
        endRow: UInt32,
        _ transaction: borrowing WriteTransaction
    ) throws -> UInt32 {
        if rowCount > 0 {
            try beginLists(through: UInt32(listCount), transaction)
            if !rowIDs.isEmpty { try writeChunk(transaction) }
            listRowCounts.removeLast()
            let manifest = RunManifest(
                run: run,
                generation: generation,
                firstRow: firstRow,
                endRow: endRow,
                rowCount: rowCount,
                chunkCount: chunk,
                firstSlots: firstSlots,
                listRowCounts: listRowCounts
            )
            try transaction.put(tables.runs, key: run, value: manifest.encoded())
        }
        return rowCount
    }

    /// Begins every list up to `list` that has not begun, each at a whole group.
    private mutating func beginLists(through list: UInt32, _ transaction: borrowing WriteTransaction) throws {
        while firstSlots.count <= Int(list) {
            let groupCount = (rowIDs.count + VectorKernels.groupRows - 1) / VectorKernels.groupRows
            addEmptySlots(through: groupCount * VectorKernels.groupRows)
            if rowIDs.count == CodeChunk.slotCount { try writeChunk(transaction) }
            firstSlots.append(slot)
            listRowCounts.append(0)
        }
    }

    private mutating func addEmptySlots(through end: Int) {
        let count = end - rowIDs.count
        codes.append(contentsOf: repeatElement(0, count: count * planeCount * VectorKernels.planeByteCount))
        factors.append(contentsOf: repeatElement(0, count: count))
        rowIDs.append(contentsOf: repeatElement(VectorKernels.absentRow, count: count))
    }

    private mutating func writeChunk(_ transaction: borrowing WriteTransaction) throws {
        let key = CodeChunkKey(run: run, chunk: chunk)
        let value = try unsafe transaction.reserve(
            tables.codes,
            key: key,
            byteCount: CodeChunk.byteCount(planeCount: planeCount),
            options: appends ? .append : []
        )
        let slotsInUse = rowIDs.count
        addEmptySlots(through: CodeChunk.slotCount)
        unsafe CodeChunk.write(
            into: value,
            planeCount: planeCount,
            generation: generation,
            key: key,
            slotsInUse: slotsInUse,
            codes: codes,
            rowIDs: rowIDs,
            factors: factors
        )
        chunk += 1
        codes.removeAll(keepingCapacity: true)
        factors.removeAll(keepingCapacity: true)
        rowIDs.removeAll(keepingCapacity: true)
    }
}
