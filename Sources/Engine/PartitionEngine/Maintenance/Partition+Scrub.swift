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

    /// Overwrites embeddings of deleted faces, and their roundings, with zeros in chunks where an eighth of the rows
    /// has died since the last time, and removes chunks that are dead as a whole; whether there was anything to do.
    func scrub() throws -> Bool {
        let rowsPerChunk = UInt32(RowChunk.rowCount)
        return try environment.read { reading in
            let before = try state(reading)
            // Nothing was deleted since the last round that found nothing.
            guard scrubbedSequence.load(ordering: .relaxed) != before.sequence else { return false }
            let rows = RowReader(partition: self, state: before, transaction: reading.number)
            let roundedRows = RoundedRowReader(partition: self, state: before, transaction: reading.number)
            let tombstones = try tombstones(reading, rowCount: before.nextRow)
            let liveness = RowLiveness(tombstones, hidden: [])
            var scrubs: [(chunk: UInt32, dead: [Int])] = []
            for chunk in 0..<rows.sealedRow / rowsPerChunk {
                let deadCount = tombstones.deadCount(inChunk: chunk)
                let isWhole = deadCount == RowChunk.rowCount
                // What was overwritten before need not be looked at again: of a partition that changes much it is most.
                guard deadCount - overwrittenRows.count(inChunk: chunk) >= Self.scrubDeadCount || isWhole,
                    let bytes = try unsafe rows.chunk(chunk, reading)
                else { continue }
                let dead = (0..<RowChunk.rowCount).filter { !liveness.isLive(chunk * rowsPerChunk + UInt32($0)) }
                if !isWhole {
                    let overwritten = dead.count { unsafe isZero(bytes, row: $0) }
                    overwrittenRows.set(overwritten, inChunk: chunk)
                    guard dead.count - overwritten >= Self.scrubDeadCount else { continue }
                }
                scrubs.append((chunk, dead))
                if scrubs.count == Self.scrubChunkLimit { break }
            }
            if scrubs.isEmpty {
                scrubbedSequence.store(before.sequence, ordering: .relaxed)
                return false
            }
            try checkFreeDisk()
            try environment.write { transaction in
                rowAddresses.begin(withTransaction: transaction.reading.number)
                roundedRowAddresses.begin(withTransaction: transaction.reading.number)
                for scrub in scrubs {
                    if scrub.dead.count == RowChunk.rowCount {
                        try transaction.delete(tables.rows, key: scrub.chunk)
                        try transaction.delete(tables.roundedRows, key: scrub.chunk)
                        continue
                    }
                    guard let old = try unsafe reading.value(of: tables.rows, key: scrub.chunk) else {
                        throw PartitionStoreError.missing(table: "rows", key: UInt64(scrub.chunk))
                    }
                    let value = try unsafe transaction.reserve(
                        tables.rows,
                        key: scrub.chunk,
                        byteCount: shape.chunkByteCount
                    )
                    unsafe value.copyMemory(from: old)
                    for row in scrub.dead {
                        let first = RowChunk.headerByteCount + row * shape.rowByteCount
                        let bytes = unsafe UnsafeMutableRawBufferPointer(
                            rebasing: value[first..<first + shape.rowByteCount]
                        )
                        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
                    }
                    unsafe RowChunk.seal(value, shape: shape, chunk: scrub.chunk)
                    guard let rounded = try roundedRows.chunk(scrub.chunk, reading) else { continue }
                    let roundedValue = try unsafe transaction.reserve(
                        tables.roundedRows,
                        key: scrub.chunk,
                        byteCount: RoundedRowChunk.byteCount(dimension: shape.dimension)
                    )
                    unsafe roundedValue.copyMemory(from: rounded.bytes)
                    unsafe RoundedRowChunk.clear(
                        scrub.dead,
                        in: roundedValue,
                        dimension: shape.dimension,
                        chunk: scrub.chunk
                    )
                }
            }
            for scrub in scrubs { overwrittenRows.set(scrub.dead.count, inChunk: scrub.chunk) }
            return true
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
