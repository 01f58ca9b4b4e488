internal import BinaryCoding

/// How far a run of the older codebook has been coded again, while it is.
///
/// | bytes | field |
/// |---|---|
/// | 4 | the run |
/// | 4 | first row id of its range that has not been coded again |
/// | 4 | pending runs n |
/// | 4 n | the pending runs, ascending: what is coded already, in runs of the newest codebook that no search sees |
/// | 4 | CRC-32C |
package struct RecodingRecord: Hashable, Sendable {
    package var run: UInt32
    package var nextRow: UInt32
    package var pendingRuns: [UInt32]

    package init(run: UInt32, nextRow: UInt32, pendingRuns: [UInt32] = []) {
        self.run = run
        self.nextRow = nextRow
        self.pendingRuns = pendingRuns
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 16 + 4 * pendingRuns.count)
        writer.write(run)
        writer.write(nextRow)
        writer.write(UInt32(pendingRuns.count))
        for run in pendingRuns { writer.write(run) }
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            run = try reader.read()
            nextRow = try reader.read()
            let count = Int(try reader.read(UInt32.self))
            guard reader.remainingByteCount == 4 * count else {
                throw BinaryCodingError.invalidValue(field: "pending run count", offset: 8)
            }
            var runs: [UInt32] = []
            for _ in 0..<count { runs.append(try reader.read()) }
            pendingRuns = runs
            try reader.finish()
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
    }

    /// - Throws: when the next row is no row of the run, and not the one behind it.
    package func check(in run: RunManifest) throws(PartitionStoreError) {
        guard (run.firstRow...run.endRow).contains(nextRow) else {
            throw .malformed(table: "meta", reason: "a row of another run is recoded")
        }
    }
}
