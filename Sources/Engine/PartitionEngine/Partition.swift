package import FaceModel
internal import Glibc
internal import InvertedFileIndex
internal import LMDB
internal import PartitionStore
internal import Synchronization

/// One replica on disk: an LMDB environment of faces and the inverted-file index over them.
///
/// All state is in the environment; what is kept in memory can be made again from it. Opening maps the file and reads a
/// few records: nothing is replayed or built.
///
/// Reads (``search(_:shouldStop:)``, ``faces(_:includesEmbeddings:)`` and the like) may run in parallel on any thread,
/// each on the commit it began with. Writes and maintenance come from one thread, the partition's write lane.
package final class Partition: Sendable {
    package let identity: PartitionIdentity
    let environment: Environment
    let tables: PartitionTables
    let options: PartitionOptions
    let shape: RowChunk.Shape
    let codebooks: Mutex<InstalledCodebooks>
    let snapshots = Mutex<CodeSnapshot?>(nil)
    let tombstones = Mutex<Tombstones?>(nil)
    let rowAddresses: RowAddresses
    let roundedRowAddresses: RowAddresses
    let tails = Mutex<TailRows?>(nil)
    let verifiedBlocks = VerifiedBlocks()
    let filterCache = FilterCache()
    let expiredRowCache = ExpiredRowCache()
    /// Merges under way; the write lane's alone.
    let merges = Mutex<[RunMerge.Kind: RunMerge]>([:])
    package let coldRows = ColdPages()
    package let coldCodes = ColdPages()
    let faceChanges = FaceChanges()
    let recallCorrection = RecallCorrection()
    /// Sequence at which ``scrub()`` last found nothing to do.
    let scrubbedSequence = Atomic<UInt64>(.max)
    let overwrittenRows = OverwrittenRows()
    /// The round of erasing under way; the write lane's alone.
    let erasingRound = Mutex<ErasingRound?>(nil)
    /// What the last round of erasing has left; the write lane's alone.
    let leftCodes = Mutex<LeftCodes?>(nil)
    /// The first chunk that ``roundRows()`` has not looked at.
    let firstUnroundedChunk = Atomic<UInt32>(0)
    private let sequence: Atomic<UInt64>
    /// When it was opened, and what its own clock showed then; see ``ReceiptTimesRecord``.
    private let opened: (at: ContinuousClock.Instant, time: UInt64)
    /// Writes have been refused for want of disk, and there is not enough room yet to take them again.
    let isDiskShort = Atomic(false)

    /// Makes a partition in a folder that is absent, empty, or holds what an interrupted `create` left.
    ///
    /// - Parameter standsIn: whether faces of its range have been written to others that are lost. A write that was
    ///   first tried before it began may have been done there.
    package static func create(
        at directory: String,
        identity: PartitionIdentity,
        options: PartitionOptions,
        standsIn: Bool = false
    ) throws(PartitionError) -> Partition {
        do {
            let environment = try openEnvironment(directory, options: options, create: true)
            let tables = try PartitionTables(environment, create: true)
            try environment.write { transaction in
                guard try !transaction.reading.contains(tables.meta, key: MetaKey.state) else {
                    throw PartitionError.alreadyExists(path: directory)
                }
                try transaction.put(tables.meta, key: MetaKey.identity, value: IdentityRecord.encode(identity))
                try transaction.put(tables.meta, key: MetaKey.state, value: PartitionState().encoded())
                let digest = DigestRecord(uncountedRow: .max)
                try transaction.put(tables.meta, key: MetaKey.digest, value: digest.encoded())
                let receiptTimes = standsIn ? ReceiptTimesRecord.ofOthers(until: 0) : .ofNothing
                try transaction.put(tables.meta, key: MetaKey.receiptTimes, value: receiptTimes.encoded())
                try transaction.put(tables.meta, key: MetaKey.remnants, value: RemnantRecord().encoded())
            }
            return try Partition(environment: environment, tables: tables, options: options)
        } catch {
            throw PartitionError(error)
        }
    }

    /// Opens a partition; serves at once, but for one of an earlier format, which is brought up to date first.
    package static func open(at directory: String, options: PartitionOptions) throws(PartitionError) -> Partition {
        do {
            let environment = try openEnvironment(directory, options: options, create: false)
            let tables: PartitionTables
            do {
                try upgrade(environment)
                tables = try PartitionTables(environment, create: false)
            } catch LMDBError.tableNotFound {
                throw PartitionStoreError.notAPartition(path: directory)
            }
            return try Partition(environment: environment, tables: tables, options: options)
        } catch {
            throw PartitionError(error)
        }
    }

    /// Removes a closed partition's files and its folder; does nothing when the folder is absent.
    package static func remove(at directory: String) throws(PartitionError) {
        for file in [Environment.damageMarkName, "data.mdb", "lock.mdb", "mien.lock"] {
            let path = "\(directory)/\(file)"
            if unsafe unlink(path) != 0, errno != ENOENT {
                throw .store(.environment(.io(path: path, errno: errno)))
            }
        }
        if unsafe rmdir(directory) != 0, errno != ENOENT {
            throw .store(.environment(.io(path: directory, errno: errno)))
        }
    }

    private init(environment: Environment, tables: PartitionTables, options: PartitionOptions) throws {
        self.environment = environment
        self.tables = tables
        self.options = options
        let loaded = try environment.read { transaction in
            guard let identity = try unsafe transaction.value(of: tables.meta, key: MetaKey.identity),
                let state = try unsafe transaction.value(of: tables.meta, key: MetaKey.state)
            else { throw PartitionStoreError.notAPartition(path: environment.path) }
            return try unsafe (
                // The state first: it holds the format version.
                state: PartitionState(bytes: state), identity: IdentityRecord.decode(identity),
                codebooks: InstalledCodebooks(tables, transaction),
                receiptTimes: Self.receiptTimes(tables, transaction)
            )
        }
        opened = (options.steadyClock(), loaded.receiptTimes?.samples.last?.time ?? 0)
        identity = loaded.identity
        let configuration = loaded.identity.collection.configuration
        shape = RowChunk.Shape(dimension: configuration.dimension, precision: configuration.storedPrecision)
        rowAddresses = RowAddresses(areLasting: tables.hasOwnPages(byteCount: shape.chunkByteCount))
        let roundedByteCount = RoundedRowChunk.byteCount(dimension: shape.dimension)
        roundedRowAddresses = RowAddresses(areLasting: tables.hasOwnPages(byteCount: roundedByteCount))
        sequence = Atomic(loaded.state.sequence)
        guard loaded.codebooks.fit(loaded.state, dimension: configuration.dimension) else {
            throw PartitionStoreError.malformed(table: "meta", reason: "the codebook is not the state's")
        }
        codebooks = Mutex(loaded.codebooks)
    }

    static func openEnvironment(
        _ directory: String,
        options: PartitionOptions,
        create: Bool
    ) throws(LMDBError) -> Environment {
        var environmentOptions = EnvironmentOptions()
        environmentOptions.mapByteCount = options.mapByteCount
        environmentOptions.createDirectory = create
        environmentOptions.readsSinglePages = true
        return try Environment(path: directory, options: environmentOptions)
    }

    /// Milliseconds of its own clock.
    var time: UInt64 {
        let (seconds, attoseconds) = opened.at.duration(to: options.steadyClock()).components
        return opened.time + UInt64(max(0, seconds)) * 1000 + UInt64(max(0, attoseconds)) / 1_000_000_000_000_000
    }

    /// Sequence of the last durable write.
    package var committedSequence: UInt64 { sequence.load(ordering: .acquiring) }

    /// - Parameter faces: that the commit changed.
    func noteCommit(_ state: PartitionState, changing faces: [FaceID]) {
        faceChanges.note(faces)
        sequence.store(state.sequence, ordering: .releasing)
    }

    /// Waits for transactions in progress and closes the files; later calls throw.
    package func close() {
        environment.close()
    }

    package func statistics() throws(PartitionError) -> PartitionStatistics {
        do {
            return try environment.read { transaction in
                let state = try state(transaction)
                let runs = try transaction.statistics(of: tables.runs)
                let codes = try transaction.statistics(of: tables.codes)
                let rows = try transaction.statistics(of: tables.rows)
                let roundedRows = try transaction.statistics(of: tables.roundedRows)
                let older = try olderCodes(transaction)
                return try PartitionStatistics(
                    faceCount: state.faceCount,
                    freshCount: UInt64(state.nextRow - state.foldedRow),
                    tombstoneCount: state.tombstoneCount,
                    sequence: state.sequence,
                    epoch: state.epoch,
                    diskByteCount: fileByteCount(),
                    generation: state.generation,
                    olderGeneration: older?.generation ?? 0,
                    olderRowCount: older?.rowCount ?? 0,
                    fit: fit(transaction),
                    runCount: runs.entryCount,
                    codeChunkCount: codes.entryCount,
                    codebookByteCount: codebooks.withLock {
                        [$0.newest, $0.older].reduce(0) { $0 + ($1?.memoryByteCount ?? 0) }
                    },
                    filterByteCount: filterCache.byteCount + expiredRowCache.byteCount,
                    codeByteCount: UInt64(codes.overflowPageCount * codes.pageByteCount),
                    rowByteCount: UInt64(
                        (rows.overflowPageCount + roundedRows.overflowPageCount) * rows.pageByteCount
                    ),
                    freshByteCount: UInt64(state.nextRow - state.foldedRow) * UInt64(shape.rowByteCount),
                    rowIDCount: UInt64(state.nextRow)
                )
            }
        } catch {
            throw PartitionError(error)
        }
    }

    /// What the file has of pages. Takes time in proportion to the list of free pages.
    package func fileUse() throws(PartitionError) -> PartitionFileUse {
        do {
            let statistics = try environment.statistics()
            return PartitionFileUse(
                usedByteCount: statistics.usedByteCount,
                freeByteCount: statistics.freeByteCount,
                mapByteCount: statistics.mapByteCount,
                oldestReaderLag: statistics.oldestReaderLag
            )
        } catch {
            throw PartitionError(error)
        }
    }

    /// The older generation and its rows that wait to be coded again; nil when there is none.
    private func olderCodes(
        _ transaction: borrowing ReadTransaction
    ) throws -> (generation: UInt32, rowCount: UInt64)? {
        guard let older = codebooks.withLock({ $0.older?.generation }) else { return nil }
        let snapshot = try snapshot(transaction)
        let runs = snapshot.runs(ofGeneration: older).map(\.manifest)
        // Rows of the run that is being coded again are counted by the share of its range.
        let record = try recoding(transaction)
        let rowCount = try runs.reduce(UInt64(0)) { sum, run in
            guard let record, record.run == run.run, run.endRow > run.firstRow else {
                return sum + UInt64(run.rowCount)
            }
            try record.check(in: run)
            return sum + UInt64(run.rowCount) * UInt64(run.endRow - record.nextRow) / UInt64(run.endRow - run.firstRow)
        }
        return (older, rowCount)
    }

    private func fileByteCount() -> UInt64 {
        var status = stat()
        guard unsafe stat("\(environment.path)/data.mdb", &status) == 0 else { return 0 }
        return UInt64(status.st_blocks) * 512
    }

    func state(_ transaction: borrowing ReadTransaction) throws -> PartitionState {
        guard let bytes = try unsafe transaction.value(of: tables.meta, key: MetaKey.state) else {
            throw PartitionStoreError.missing(table: "meta", key: 0)
        }
        return try unsafe PartitionState(bytes: bytes)
    }
}
