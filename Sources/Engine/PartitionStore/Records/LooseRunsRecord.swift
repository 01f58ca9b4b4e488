internal import BinaryCoding

/// Runs that have chunks in `codes` and no manifest, so that no search sees them: what a merge that is under way has
/// written, and what is still to be removed.
///
/// | bytes | field |
/// |---|---|
/// | 4 | runs n |
/// | 4 n | the runs, ascending |
/// | 4 | CRC-32C |
package struct LooseRunsRecord: Hashable, Sendable {
    /// Ascending, each once.
    package private(set) var runs: [UInt32] = []

    package init(_ runs: [UInt32] = []) {
        for run in runs { insert(run) }
    }

    package mutating func insert(_ run: UInt32) {
        let place = runs.firstIndex { $0 >= run } ?? runs.count
        if place == runs.count || runs[place] != run { runs.insert(run, at: place) }
    }

    package mutating func remove(_ run: UInt32) {
        runs.removeAll { $0 == run }
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 8 + 4 * runs.count)
        writer.write(UInt32(runs.count))
        for run in runs { writer.write(run) }
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            let count = Int(try reader.read(UInt32.self))
            guard reader.remainingByteCount == 4 * count else {
                throw BinaryCodingError.invalidValue(field: "loose run count", offset: 0)
            }
            for _ in 0..<count { runs.append(try reader.read()) }
            try reader.finish()
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
        guard zip(runs, runs.dropFirst()).allSatisfy(<), runs.last ?? 0 < .max else {
            throw .malformed(table: "meta", reason: "loose runs that are not in order")
        }
    }
}
