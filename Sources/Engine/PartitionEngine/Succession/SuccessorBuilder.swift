package import FaceModel
internal import FaceRecords
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization
internal import VectorMath

/// Makes a partition that takes the place of others, beside them and while they are written: the half of one that is
/// split, or two that are merged.
///
/// 1. ``copyRows()``: rows come over slice by slice, each slice in a read transaction of its own, so that no reader
///    holds back pages for long.
/// 2. ``copyCodes()``: the codes of those rows come over as they are, some lists at a time, in one run. Nothing is
///    trained, and only what was coded by an older codebook, or not yet, is coded here.
/// 3. ``follow()``: what has changed since is looked up and taken over, again and again. What counts is what a face is
///    now, so it does not matter in which order its changes are heard of.
/// 4. ``copyReceipts()`` and ``copyErasures()``: so do receipts and erasures, those that are there before, and what has
///    come since.
/// 5. ``seal()``, once the sources are written no more: what is left of both comes over, and the partition goes on
///    where they ended. It is undone by following on.
///
/// One thread at a time. The sources stay open as long as it is used.
package final class SuccessorBuilder {
    /// How far it is.
    package struct Progress: Hashable, Sendable {
        package var rowCount: UInt64
        /// Rows of the sources when it began.
        package var totalRowCount: UInt64

        package init(rowCount: UInt64 = 0, totalRowCount: UInt64 = 0) {
            self.rowCount = rowCount
            self.totalRowCount = totalRowCount
        }
    }

    /// A partition whose faces come over.
    struct Source {
        let partition: Partition
        let follower: Int
        /// Rows below which a row comes over when it is coded by the newest codebook, and other rows.
        var coded = RowCursor()
        var other = RowCursor()
        /// Rows that runs of the newest codebook had when it began.
        var codedRanges: [Range<UInt32>] = []
        /// Own rows of those that came over as ones that are coded.
        var rows = CopiedRows()
        /// First receipt that has not come over.
        var nextReceipt: UInt64 = 0
        /// Up to which erasures have come over.
        var lastErasure: ErasurePosition?
    }

    struct RowCursor {
        var next: UInt32 = 0
        var end: UInt32 = 0
    }

    /// What was found damaged of a source, by its place among them.
    package struct Damage: Sendable {
        package let source: Int
        package let error: PartitionError
    }

    /// Row ids that are looked at before it is asked whether a slice is full; a multiple of those of a chunk. As many
    /// live rows fill one.
    static let sliceRowCount: UInt32 = 8192
    private static let changeLimit = 4096

    /// The partition that is made.
    package let partition: Partition
    var sources: [Source]
    /// Rows that the codes are to be of: those that came over first.
    var codedRowCount: UInt32 = 0
    /// Codes have begun to come over.
    var hasCodes = false
    var codeCopy: CodeCopy?
    /// A source that was found damaged as its rows or codes came over; nil while none was.
    package private(set) var damage: Damage?
    /// When receipts were kept that came over, by the new partition's clock.
    var receiptSamples: [ReceiptTimesRecord.Sample] = []
    private let totalRowCount: UInt64
    private let range: ClosedRange<UInt64>

    /// Begins a partition in a folder that has none.
    ///
    /// - Parameters:
    ///   - identity: of the new partition: faces within its range come over, from every source.
    ///   - sources: one, or several whose ranges do not overlap.
    package init(
        at directory: String,
        identity: PartitionIdentity,
        sources: [Partition],
        options: PartitionOptions
    ) throws(PartitionError) {
        range = identity.firstHash...identity.lastHash
        let followed = sources.map { Source(partition: $0, follower: $0.faceChanges.begin()) }
        do throws(PartitionError) {
            partition = try Partition.create(at: directory, identity: identity, options: options)
        } catch {
            for source in followed { source.partition.faceChanges.end(source.follower) }
            throw error
        }
        var total: UInt64 = 0
        do {
            self.sources = try followed.map { followed in
                var source = followed
                total += try Self.begin(&source)
                return source
            }
            totalRowCount = total
            try takeCodebook()
        } catch {
            for source in followed { source.partition.faceChanges.end(source.follower) }
            partition.close()
            throw PartitionError(error)
        }
    }

    /// Ends following and closes the partition; what was made of it stays on disk.
    package func close() {
        release()
        partition.close()
    }

    /// Ends following; the partition stays open, and is the caller's.
    package func release() {
        for source in sources { source.partition.faceChanges.end(source.follower) }
    }

    package var progress: Progress {
        let done = sources.reduce(UInt64(0)) { $0 + UInt64($1.coded.next) + UInt64($1.other.next) }
        let all = sources.reduce(UInt64(0)) { $0 + UInt64($1.coded.end) + UInt64($1.other.end) }
        return Progress(rowCount: all == 0 ? 0 : done * totalRowCount / all, totalRowCount: totalRowCount)
    }

    // MARK: Rows

    /// The rows that a source has, and which of them are coded.
    private static func begin(_ source: inout Source) throws -> UInt64 {
        let partition = source.partition
        return try partition.environment.read { transaction in
            let state = try partition.state(transaction)
            let runs = try partition.snapshot(transaction).runs(ofGeneration: state.generation)
            source.codedRanges = runs.map { $0.manifest.firstRow..<$0.manifest.endRow }
            let end = source.codedRanges.map(\.upperBound).max() ?? 0
            source.coded.end = end
            source.other.end = state.nextRow
            source.nextReceipt = try partition.oldestReceipt(transaction)
            return UInt64(state.nextRow)
        }
    }

    /// Installs the newest codebook of the sources; codes of another are not taken over.
    private func takeCodebook() throws {
        var newest: (generation: UInt32, bytes: [UInt8])?
        for source in sources {
            let partition = source.partition
            let own = try partition.environment.read { transaction -> (UInt32, [UInt8])? in
                let generation = try partition.state(transaction).generation
                return try unsafe transaction.value(of: partition.tables.meta, key: MetaKey.codebook).map {
                    unsafe (generation, Array($0))
                }
            }
            if let own, own.0 > newest?.generation ?? 0 { newest = own }
        }
        if let newest { try partition.install(codebook: newest.bytes) }
        for index in sources.indices {
            let generation = sources[index].partition.codebooks.withLock { $0.newest?.generation }
            guard generation != newest?.generation || newest == nil else { continue }
            sources[index].codedRanges = []
            sources[index].coded.end = 0
            sources[index].rows = CopiedRows()
        }
    }

    /// Takes rows of one slice over.
    ///
    /// - Returns: whether there are more.
    package func copyRows() throws(PartitionError) -> Bool {
        do {
            if let index = sources.firstIndex(where: { $0.coded.next < $0.coded.end }) {
                codedRowCount = try copySlice(of: index, coded: true)
                return true
            }
            guard let index = sources.firstIndex(where: { $0.other.next < $0.other.end }) else { return false }
            _ = try copySlice(of: index, coded: false)
            return true
        } catch {
            throw PartitionError(error)
        }
    }

    /// - Returns: rows that there are then.
    private func copySlice(of index: Int, coded: Bool) throws -> UInt32 {
        let source = sources[index]
        var cursor = coded ? source.coded : source.other
        let ranges = source.codedRanges
        func isCoded(_ row: UInt32) -> Bool { ranges.contains { $0.contains(row) } }
        try partition.checkFreeDisk()
        let (own, rowCount) = try source.partition.environment.read { reading -> ([(UInt32, UInt32)], UInt32) in
            let state = try source.partition.state(reading)
            let rows = RowReader(partition: source.partition, state: state, transaction: reading.number)
            let tombstones = try source.partition.tombstones(reading, rowCount: state.nextRow)
            let liveness = RowLiveness(tombstones, hidden: [])
            // Of a partition that changes much most ids are of rows that are gone.
            var live: [UInt32] = []
            while cursor.next < cursor.end, live.count < Int(Self.sliceRowCount) {
                let end = cursor.next + min(Self.sliceRowCount, cursor.end - cursor.next)
                live += liveness.liveRows(in: cursor.next..<end).filter { isCoded($0) == coded }
                cursor.next = end
            }
            if live.isEmpty {
                return ([], try partition.environment.read { try partition.state($0).nextRow })
            }
            return try partition.environment.write { transaction in
                var pass = try WritePass(partition, transaction)
                var own: [(face: FaceID, row: UInt32)] = []
                for row in live {
                    let face = try source.partition.tables.face(ofRow: row, reading)
                    if isOwn(face) { own.append((face, row)) }
                }
                // In the order of the faces every page of their records is read once.
                own.sort { $0.face < $1.face }
                let newcomers = try own.map { face, row in
                    (face, try source.partition.tables.record(of: face, inRow: row, reading))
                }
                let copies = try unsafe pass.adopt(newcomers, transaction) { row in
                    do {
                        return try unsafe rows.bytes(of: row, reading)
                    } catch {
                        note(error, of: index)
                        throw error
                    }
                }
                let pairs = zip(own, copies).map { ($0.row, $1) }
                return (pairs, try pass.finish(transaction).nextRow)
            }
        }
        if coded {
            for (row, copy) in own { sources[index].rows[row] = copy }
            sources[index].coded = cursor
        } else {
            sources[index].other = cursor
        }
        return rowCount
    }

    /// Takes note of a read of a source alone that has failed.
    func note(_ error: any Error, of source: Int) {
        let error = PartitionError(error)
        if error.isCorruption, damage == nil { damage = Damage(source: source, error: error) }
    }

    private func isOwn(_ face: FaceID) -> Bool {
        range.contains(FaceContribution.place(of: face, in: partition.identity.collection.id))
    }

    // MARK: Changes

    /// Takes over what has changed in the sources since the last time.
    ///
    /// - Returns: changes that were looked at; 0 when there were none.
    package func follow() throws(PartitionError) -> Int {
        do {
            var count = 0
            for source in sources {
                let faces = source.partition.faceChanges.take(source.follower)
                count += faces.count
                let own = faces.filter(isOwn).sorted()
                var first = 0
                while first < own.count {
                    let end = min(own.count, first + Self.changeLimit)
                    try follow(own[first..<end], of: source.partition)
                    first = end
                }
            }
            return count
        } catch {
            throw PartitionError(error)
        }
    }

    /// Changes that have been heard of and wait for ``follow()``.
    package var pendingChangeCount: Int {
        sources.reduce(0) { $0 + $1.partition.faceChanges.count($1.follower) }
    }

    private func follow(_ faces: ArraySlice<FaceID>, of source: Partition) throws {
        try partition.checkFreeDisk()
        try source.environment.read { reading in
            let state = try source.state(reading)
            let rows = RowReader(partition: source, state: state, transaction: reading.number)
            try partition.environment.write { transaction in
                var pass = try WritePass(partition, transaction)
                var newcomers: [(face: FaceID, record: FaceRecord)] = []
                for face in faces {
                    guard let bytes = try unsafe source.tables.faceRecord(of: face, reading) else {
                        try pass.disown(face, transaction)
                        continue
                    }
                    let record = try unsafe FaceRecord(bytes: bytes, face: face)
                    if let known = try unsafe transaction.reading.value(of: partition.tables.faces, key: face),
                        try unsafe FaceRecord(bytes: known, face: face).version == record.version
                    {
                        continue
                    }
                    newcomers.append((face, record))
                }
                _ = try unsafe pass.adopt(newcomers, transaction) { row in try unsafe rows.bytes(of: row, reading) }
                _ = try pass.finish(transaction)
            }
        }
    }

    // MARK: End

    /// Takes over what is left and goes on where the sources ended, if nothing has changed in them meanwhile.
    ///
    /// - Returns: the sequence of each source through which everything is here; nil when changes still come in.
    package func seal() throws(PartitionError) -> [UInt64]? {
        let before = sources.map { $0.partition.committedSequence }
        guard try follow() == 0, before == sources.map({ $0.partition.committedSequence }) else { return nil }
        do {
            let states = try sources.map { source in
                try source.partition.environment.read { try source.partition.state($0) }
            }
            guard states.map(\.applied.sequence) == before else { return nil }
            while try takeReceipts() {}
            while try takeErasures() {}
            let state = try partition.environment.write { transaction in
                var state = try partition.state(transaction.reading)
                state.succeed(states.map(\.applied))
                try transaction.put(partition.tables.meta, key: MetaKey.state, value: state.encoded())
                let times = try receiptTimes(state, oldest: partition.oldestReceipt(transaction.reading))
                try transaction.put(partition.tables.meta, key: MetaKey.receiptTimes, value: times.encoded())
                if let time = try forgottenErasures(transaction.reading) {
                    let value = ErasureRecord.encode(forgotten: time)
                    try transaction.put(partition.tables.meta, key: MetaKey.forgottenErasures, value: value)
                }
                if let end = try restorationEnd() {
                    try transaction.put(partition.tables.meta, key: MetaKey.restorationEnd, value: end.encoded())
                }
                return state
            }
            partition.noteCommit(state, changing: [])
            return before
        } catch {
            // What was to come over may have been forgotten by a write.
            if before != sources.map({ $0.partition.committedSequence }) { return nil }
            throw PartitionError(error)
        }
    }

    /// That faces of a backup are put into the sources no more; nil when none were.
    private func restorationEnd() throws -> RestorationEndRecord? {
        let ends = try sources.compactMap { source in
            try source.partition.environment.read { try source.partition.restorationEnd($0) }
        }
        return ends.max { $0.sequence < $1.sequence }
    }
}
