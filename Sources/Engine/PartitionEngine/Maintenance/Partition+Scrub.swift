internal import BinaryCoding
internal import FaceModel
internal import LMDB
internal import PartitionStore
internal import Synchronization

extension Partition {
    /// Rows of a chunk that died since its dead rows were last overwritten, from which they are again: each time the
    /// whole chunk is written.
    private static let scrubDeadCount = RowChunk.rowCount / 8
    /// Chunks looked at in one step.
    private static let scrubChunkLimit = 64

    /// Chunks read in one step to see what was overwritten before.
    private static let lookLimit = 256

    /// Overwrites embeddings of deleted faces, and their roundings, with zeros in chunks where an eighth of the rows
    /// has died since the last time, and removes chunks that are dead as a whole; whether there was anything to do.
    func scrub() throws -> Bool {
        try environment.read { reading in
            let sequence = try state(reading).sequence
            // Nothing was deleted since the last round that found nothing.
            guard scrubbedSequence.load(ordering: .relaxed) != sequence else { return false }
            let step = try overwriteDeadRows(from: 0, leastCount: Self.scrubDeadCount, lookLimit: .max, reading)
            if !step.hasOverwritten { scrubbedSequence.store(sequence, ordering: .relaxed) }
            return step.hasOverwritten
        }
    }

    /// Does a step of overwriting every dead row of full chunks; the chunk to go on with, nil at the end.
    ///
    /// - Parameter chunk: where to begin.
    func overwriteDeadRows(from chunk: UInt32) throws -> UInt32? {
        try environment.read { reading in
            try overwriteDeadRows(from: chunk, leastCount: 1, lookLimit: Self.lookLimit, reading).next
        }
    }

    /// Does some of the chunks, in one commit.
    ///
    /// - Parameters:
    ///   - leastCount: rows that have died in a chunk since it was last overwritten, from which on it is again.
    ///   - lookLimit: chunks read at most.
    private func overwriteDeadRows(
        from start: UInt32,
        leastCount: Int,
        lookLimit: Int,
        _ reading: borrowing ReadTransaction
    ) throws -> (hasOverwritten: Bool, next: UInt32?) {
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        let before = try state(reading)
        let rows = RowReader(partition: self, state: before, transaction: reading.number)
        let tombstones = try tombstones(reading, rowCount: before.nextRow)
        let liveness = RowLiveness(tombstones, hidden: [])
        let end = rows.sealedRow / rowsPerChunk
        var scrubs: [DeadRows] = []
        var chunk = max(start, try firstStoredChunk(reading) ?? end)
        var lookCount = 0
        while chunk < end, scrubs.count < Self.scrubChunkLimit, lookCount < lookLimit {
            defer { chunk += 1 }
            let deadCount = tombstones.deadCount(inChunk: chunk)
            let isWhole = deadCount == RowChunk.rowCount
            // What was overwritten before need not be looked at again: of a partition that changes much it is most.
            let known = overwrittenRows.count(inChunk: chunk)
            guard deadCount - known >= leastCount || (isWhole && known < RowChunk.rowCount) else { continue }
            guard let bytes = try unsafe rows.chunk(chunk, reading) else {
                if isWhole { overwrittenRows.set(RowChunk.rowCount, inChunk: chunk) }
                continue
            }
            lookCount += 1
            let dead = (0..<RowChunk.rowCount).filter { !liveness.isLive(chunk * rowsPerChunk + UInt32($0)) }
            if !isWhole {
                let overwritten = dead.count { unsafe isZero(bytes, row: $0) }
                overwrittenRows.set(overwritten, inChunk: chunk)
                guard dead.count - overwritten >= leastCount else { continue }
            }
            scrubs.append(DeadRows(chunk: chunk, rows: dead))
        }
        let rewritten = scrubs.lazy.filter { $0.rows.count < RowChunk.rowCount }.map(\.chunk)
        try reading.readAhead(of: tables.rows, keys: rewritten)
        if !scrubs.isEmpty { try overwrite(scrubs, before, reading) }
        return (!scrubs.isEmpty, chunk < end ? chunk : nil)
    }

    /// The first chunk that is not gone; nil without one. Row ids are used once, so there may have been many before it.
    func firstStoredChunk(_ transaction: borrowing ReadTransaction) throws -> UInt32? {
        try transaction.withCursor(tables.rows) { cursor in try unsafe cursor.first()?.uint32Key }
    }

    private struct DeadRows {
        let chunk: UInt32
        /// Within the chunk.
        let rows: [Int]
    }

    /// Each chunk is verified whether or not it was before, and so is its rounded one: both get a new checksum.
    private func overwrite(
        _ scrubs: [DeadRows],
        _ before: PartitionState,
        _ reading: borrowing ReadTransaction
    ) throws {
        let roundedRows = RoundedRowReader(partition: self, state: before, transaction: reading.number)
        try checkFreeDisk()
        try environment.write { transaction in
            rowAddresses.begin(withTransaction: transaction.reading.number)
            roundedRowAddresses.begin(withTransaction: transaction.reading.number)
            for scrub in scrubs {
                if scrub.rows.count == RowChunk.rowCount {
                    try transaction.delete(tables.rows, key: scrub.chunk)
                    try transaction.delete(tables.roundedRows, key: scrub.chunk)
                    continue
                }
                guard let old = try unsafe reading.value(of: tables.rows, key: scrub.chunk) else {
                    throw PartitionStoreError.missing(table: "rows", key: UInt64(scrub.chunk))
                }
                try unsafe RowChunk(old, shape: shape).verify(chunk: scrub.chunk)
                let value = try unsafe transaction.reserve(
                    tables.rows,
                    key: scrub.chunk,
                    byteCount: shape.chunkByteCount
                )
                unsafe value.copyMemory(from: old)
                for row in scrub.rows {
                    let first = RowChunk.headerByteCount + row * shape.rowByteCount
                    let bytes = unsafe UnsafeMutableRawBufferPointer(
                        rebasing: value[first..<first + shape.rowByteCount]
                    )
                    unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
                }
                unsafe RowChunk.seal(value, shape: shape, chunk: scrub.chunk)
                guard let rounded = try roundedRows.chunk(scrub.chunk, reading) else { continue }
                try rounded.verify(chunk: scrub.chunk)
                let roundedValue = try unsafe transaction.reserve(
                    tables.roundedRows,
                    key: scrub.chunk,
                    byteCount: RoundedRowChunk.byteCount(dimension: shape.dimension)
                )
                unsafe roundedValue.copyMemory(from: rounded.bytes)
                unsafe RoundedRowChunk.clear(
                    scrub.rows,
                    in: roundedValue,
                    dimension: shape.dimension,
                    chunk: scrub.chunk
                )
            }
        }
        for scrub in scrubs { overwrittenRows.set(scrub.rows.count, inChunk: scrub.chunk) }
    }

    /// Dead rows of the unfinished chunk.
    func deadTailRows(_ reading: borrowing ReadTransaction) throws -> [UInt32] {
        let state = try state(reading)
        let liveness = RowLiveness(try tombstones(reading, rowCount: state.nextRow), hidden: [])
        return (state.sealedRow..<state.nextRow).filter { !liveness.isLive($0) }
    }

    /// Overwrites those of some rows that are in the unfinished chunk, in one commit.
    ///
    /// - Precondition: they are dead, and no reader has them for live ones: what it copies of them, others may search.
    func overwriteTailRows(_ rows: [UInt32]) throws {
        try environment.read { reading in
            let sealedRow = try state(reading).sealedRow
            let left = try rows.filter { row in
                guard row >= sealedRow else { return false }
                return try unsafe tables.tailRow(row, shape: shape, reading).contains { $0 != 0 }
            }
            if left.isEmpty { return }
            try environment.write { transaction in
                for row in left {
                    var writer = ByteWriter(reservingByteCount: shape.rowByteCount + 4)
                    writer.write(bytes: repeatElement(0, count: shape.rowByteCount))
                    let value = tables.withOwnPages(RecordSeal.seal(writer, under: row))
                    try transaction.put(tables.tailRows, key: row, value: value)
                }
            }
        }
    }

    private func isZero(_ rows: UnsafeRawPointer, row: Int) -> Bool {
        let bytes = unsafe UnsafeRawBufferPointer(
            start: rows + row * shape.rowByteCount,
            count: shape.rowByteCount
        )
        return unsafe bytes.allSatisfy { $0 == 0 }
    }
}

/// How many dead rows of each chunk are known to be overwritten; what is not known counts as none.
struct OverwrittenRows: ~Copyable, Sendable {
    private let counts = Mutex<[UInt8]>([])

    func count(inChunk chunk: UInt32) -> Int {
        counts.withLock { Int(chunk) < $0.count ? Int($0[Int(chunk)]) : 0 }
    }

    func set(_ count: Int, inChunk chunk: UInt32) {
        counts.withLock { counts in
            if Int(chunk) >= counts.count {
                counts.append(contentsOf: repeatElement(0, count: Int(chunk) + 1 - counts.count))
            }
            counts[Int(chunk)] = UInt8(count)
        }
    }
}
