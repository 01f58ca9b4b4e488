internal import LMDB
internal import PartitionStore
internal import Synchronization

/// How much of what searches read is in memory: shares 0…1 of the pages; 1 of nothing.
package struct PartitionResidency: Hashable, Sendable {
    /// Of the codes, which every search scans.
    package var codes: Double
    /// Of the stored embeddings, of which a search reads some, and their roundings, of which an exact one reads all.
    package var rows: Double

    package init(codes: Double, rows: Double) {
        self.codes = codes
        self.rows = rows
    }
}

/// What is read into memory when a partition has been opened, before searches ask for it.
package enum PrefaultPolicy: String, CaseIterable, Sendable {
    case none
    /// The codes, which every search scans.
    case codes
    /// The codes, then the roundings of the stored embeddings, which tell which of these have to be read: for
    /// partitions that are larger than memory.
    case roundings
    /// The codes, then the roundings, then the stored embeddings.
    case all
}

extension Partition {
    /// Chunks that are looked at of each kind: evenly spread, which is within a few per cent of all.
    private static let residencySample = 128
    /// Bytes that are looked at of each.
    private static let looksAtByteCount = 12_288
    /// Bytes read under one transaction.
    private static let prefaultStep = 4 << 20

    /// An estimate from evenly spread chunks.
    package func residency() throws(PartitionError) -> PartitionResidency {
        do {
            return try environment.read { transaction in
                let codes = try unsafe codeChunks(transaction)
                let spread = Self.spread(over: try state(transaction).sealedChunkCount)
                let rows = try unsafe [tables.rows, tables.roundedRows].flatMap { table in
                    try unsafe spread.compactMap { chunk in
                        try unsafe transaction.value(of: table, key: UInt32(chunk))
                    }
                }
                return PartitionResidency(
                    codes: unsafe Self.residentShare(Self.spread(over: codes.count).map { unsafe codes[$0] }),
                    rows: unsafe Self.residentShare(rows)
                )
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Has some of the codes that are in memory held there in a large page; whether there were any.
    ///
    /// Every search reads codes at many places, and in small pages waits for the page tables: up to a tenth of its
    /// time, and more where codes were written a few at a time. A search that wants just this page waits for the disk.
    func settleCodes() throws -> Bool {
        guard options.settlesCodes else { return false }
        return try environment.read { transaction in
            try unsafe environment.holdInLargePages(codeChunks(transaction))
        }
    }

    private func codeChunks(_ transaction: borrowing ReadTransaction) throws -> [UnsafeRawBufferPointer] {
        try unsafe snapshot(transaction).generations.flatMap { generation in
            unsafe generation.runs.flatMap { run in unsafe run.chunks }
        }
    }

    private static func spread(over count: Int) -> [Int] {
        count <= residencySample
            ? Array(0..<count) : (0..<residencySample).map { $0 * count / residencySample }
    }

    private static func residentShare(_ ranges: [UnsafeRawBufferPointer]) -> Double {
        var (byteCount, resident) = (0, 0.0)
        for index in unsafe ranges.indices {
            let range = unsafe ranges[index]
            // Here at its begin, there at its end: asking about all pages takes a processor some per cent of its time.
            let first = max(0, range.count - looksAtByteCount) * (index % 8) / 7
            let end = min(range.count, first + looksAtByteCount)
            let found = unsafe MappedPages.residency(of: UnsafeRawBufferPointer(rebasing: range[first..<end]))
            byteCount += range.count
            resident += Double(range.count * found.resident) / Double(max(1, found.pages))
        }
        return byteCount == 0 ? 1 : resident / Double(byteCount)
    }

    /// Reads what the policy names into memory, a few megabytes at a time; pages that are there already cost little.
    ///
    /// Meant for a thread of its own: it waits for the disk.
    ///
    /// - Parameters:
    ///   - pause: called after every step with the bytes it read; what it waits bounds the rate.
    ///   - shouldStop: asked before every step.
    package func prefault(
        _ policy: PrefaultPolicy,
        pause: (_ byteCount: Int) -> Void,
        shouldStop: () -> Bool
    ) throws(PartitionError) {
        if policy == .none { return }
        do {
            var chunk = 0
            while !shouldStop() {
                let read = try environment.read { transaction in
                    let codes = try unsafe codeChunks(transaction)
                    let first = chunk
                    // Runs that became one since the last step have fewer chunks.
                    guard unsafe first < codes.count else { return 0 }
                    var byteCount = 0
                    while unsafe chunk < codes.count, byteCount < Self.prefaultStep {
                        byteCount += unsafe codes[chunk].count
                        chunk += 1
                    }
                    unsafe MappedPages.populate(codes[first..<chunk])
                    return byteCount
                }
                if read == 0 { break }
                pause(read)
            }
            if policy == .codes { return }
            for table in policy == .all ? [tables.roundedRows, tables.rows] : [tables.roundedRows] {
                try prefault(table, pause: pause, shouldStop: shouldStop)
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// Reads the chunks of one of the tables that have a chunk for 128 rows.
    private func prefault(_ table: Table, pause: (_ byteCount: Int) -> Void, shouldStop: () -> Bool) throws {
        var chunk: UInt32 = 0
        while !shouldStop() {
            let read = try environment.read { transaction in
                var chunks: [UnsafeRawBufferPointer] = unsafe []
                var byteCount = 0
                let end = UInt32(try state(transaction).sealedChunkCount)
                while chunk < end, byteCount < Self.prefaultStep {
                    if let bytes = try unsafe transaction.value(of: table, key: chunk) {
                        unsafe chunks.append(bytes)
                        byteCount += bytes.count
                    }
                    chunk += 1
                }
                unsafe MappedPages.populate(chunks[...])
                return byteCount
            }
            if read == 0 { break }
            pause(read)
        }
    }
}
