internal import BinaryCoding

/// What a run of codes holds: rows of a contiguous range of row ids, sorted by inverted list.
///
/// | bytes | field |
/// |---|---|
/// | 4 | codebook generation |
/// | 4, 4 | first row id of its range, and the first behind it |
/// | 4 | rows it holds (rows of the range that were dead when it was made are left out) |
/// | 4 | chunks |
/// | 4 | lists L |
/// | 4 (L + 1) | first slot of each list, a multiple of 16, and the first slot behind the last |
/// | 4 L | rows of each list |
/// | 4 | CRC-32C |
package struct RunManifest: Hashable, Sendable {
    package var run: UInt32
    package var generation: UInt32
    package var firstRow: UInt32
    package var endRow: UInt32
    package var rowCount: UInt32
    package var chunkCount: UInt32
    /// `[listCount + 1]`.
    package var firstSlots: [UInt32]
    /// `[listCount]`.
    package var listRowCounts: [UInt32]

    package init(
        run: UInt32,
        generation: UInt32,
        firstRow: UInt32,
        endRow: UInt32,
        rowCount: UInt32,
        chunkCount: UInt32,
        firstSlots: [UInt32],
        listRowCounts: [UInt32]
    ) {
        self.run = run
        self.generation = generation
        self.firstRow = firstRow
        self.endRow = endRow
        self.rowCount = rowCount
        self.chunkCount = chunkCount
        self.firstSlots = firstSlots
        self.listRowCounts = listRowCounts
    }

    package var listCount: Int { listRowCounts.count }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 32 + 8 * listCount)
        writer.write(generation)
        writer.write(firstRow)
        writer.write(endRow)
        writer.write(rowCount)
        writer.write(chunkCount)
        writer.write(UInt32(listCount))
        for slot in firstSlots { writer.write(slot) }
        for count in listRowCounts { writer.write(count) }
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer, run: UInt32) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "runs", key: UInt64(run))
        self.run = run
        do {
            var reader = unsafe ByteReader(body)
            generation = try reader.read()
            firstRow = try reader.read()
            endRow = try reader.read()
            rowCount = try reader.read()
            chunkCount = try reader.read()
            let lists = Int(try reader.read(UInt32.self))
            guard lists <= 1_000_000, reader.remainingByteCount == 8 * lists + 4 else {
                throw BinaryCodingError.invalidValue(field: "list count", offset: 20)
            }
            var slots: [UInt32] = []
            for _ in 0...lists { slots.append(try reader.read()) }
            var counts: [UInt32] = []
            for _ in 0..<lists { counts.append(try reader.read()) }
            try reader.finish()
            firstSlots = slots
            listRowCounts = counts
        } catch {
            throw .malformed(table: "runs", reason: "\(error)")
        }
        guard isConsistent else { throw .malformed(table: "runs", reason: "its slots do not add up") }
    }

    /// Whether every list lies inside the chunks, if they have as many slots as any chunk has: what a reader relies on
    /// without looking again, with ``fits(chunksOf:)``.
    private var isConsistent: Bool {
        guard firstRow <= endRow, firstSlots[0] == 0,
            UInt64(firstSlots[listCount]) <= UInt64(chunkCount) * UInt64(CodeChunk.earlierSlotCount)
        else { return false }
        for list in 0..<listCount {
            let (first, end) = (firstSlots[list], firstSlots[list + 1])
            if first % 16 != 0 || end < first || listRowCounts[list] > end - first { return false }
        }
        return listRowCounts.reduce(UInt64(0)) { $0 + UInt64($1) } == UInt64(rowCount)
    }

    /// Whether every list lies inside chunks of so many slots.
    package func fits(chunksOf slotCount: Int) -> Bool {
        UInt64(firstSlots[listCount]) <= UInt64(chunkCount) * UInt64(slotCount)
    }
}
