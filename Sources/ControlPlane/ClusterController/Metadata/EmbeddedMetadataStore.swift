import Checksum
package import ClusterModel
import LMDB
import Synchronization

/// The metadata store of a cluster with one coordinator: an LMDB environment in its data folder.
///
/// | table | key → value |
/// |---|---|
/// | `about` | `format` → u32; `node` → 16 bytes, the coordinator's id; `revision` → u64, the last commit |
/// | `about` | `elsewhere` → 16 bytes, the coordinator's cluster, when its records are in another store |
/// | `records` | key → version u64, CRC-32C u32 of (key, version, bytes), bytes |
///
/// Integers are little-endian, ids big-endian. All calls to LMDB are made on one disk lane.
///
/// Format 2 is that of a folder whose records are elsewhere, so that a version which knows of no such thing leaves it
/// alone.
package final class EmbeddedMetadataStore: MetadataStore {
    package static let format: UInt32 = 2
    private static let formatOfRecordsHere: UInt32 = 1

    /// Identity of the coordinator that owns the folder, made when the folder was.
    package let node: NodeID

    private let path: String
    private let lane = DiskLane(label: "mien.metadata")
    private let database: Mutex<Database>
    private let watchers = Mutex(Watchers())

    private struct Database {
        var environment: Environment
        var about: Table
        var records: Table
        var isClosed = false
    }

    private struct Watchers {
        var next = 0
        var continuations: [Int: AsyncStream<MetadataRevision>.Continuation] = [:]
    }

    /// Opens the store in a folder, made when it is missing.
    ///
    /// - Throws: `unavailable` with the sentence of the cause (folder in use by another process, not writable, disk
    ///   full …), `newerFormat`, `corrupt`.
    package static func open(at path: String) async throws(MetadataError) -> EmbeddedMetadataStore {
        try await DiskLane(label: "mien.metadata.opening").run { () throws(MetadataError) in
            try EmbeddedMetadataStore(path: path)
        }
    }

    private init(path: String) throws(MetadataError) {
        do throws(LMDBError) {
            let database = try Self.openDatabase(at: path)
            self.path = path
            self.database = Mutex(database)
            node = try Self.identify(database, at: path)
        } catch {
            throw Self.opening(error, at: path)
        }
        guard let found = try storedFormat() else {
            throw .corrupt(key: "format", reason: "it is missing")
        }
        guard found <= Self.format else {
            throw .newerFormat(path: path, found: found, supported: Self.format)
        }
    }

    /// Ends the use of the folder. Calls afterwards throw `unavailable`.
    package func close() async {
        await lane.run {
            self.database.withLock { database in
                database.environment.close()
                database.isClosed = true
            }
        }
        let continuations = watchers.withLock { watchers in
            defer { watchers.continuations = [:] }
            return watchers.continuations
        }
        for continuation in continuations.values { continuation.finish() }
    }

    package func read(_ key: String) async throws(MetadataError) -> MetadataRecord? {
        try await lane.run { () throws(MetadataError) in
            try self.reading { database throws(LMDBError) in
                try database.environment.read { transaction throws(LMDBError) in
                    try unsafe transaction.value(of: database.records, key: key).map {
                        unsafe StoredRecord.decode(key: key, $0)
                    }
                }
            }?.get()
        }
    }

    package func list(prefix: String) async throws(MetadataError) -> MetadataListing {
        try await lane.run { () throws(MetadataError) in
            let (results, revision) = try self.reading { database throws(LMDBError) in
                try database.environment.read { transaction throws(LMDBError) in
                    var results: [Result<MetadataRecord, MetadataError>] = []
                    let range = prefix.isEmpty ? KeyRange.all : KeyRange.prefix(prefix)
                    try unsafe transaction.forEach(in: database.records, range) { entry throws(LMDBError) in
                        let key = unsafe String(decoding: entry.key, as: UTF8.self)
                        unsafe results.append(StoredRecord.decode(key: key, entry.value))
                        return .next
                    }
                    return (results, try Self.revision(transaction, database))
                }
            }
            var records: [MetadataRecord] = []
            for result in results { records.append(try result.get()) }
            return MetadataListing(records: records, revision: try revision.get())
        }
    }

    @discardableResult
    package func commit(
        _ conditions: [MetadataCondition],
        _ changes: [MetadataChange]
    ) async throws(MetadataError) -> MetadataRevision {
        try Self.check(conditions, changes)
        let revision = try await lane.run { () throws(MetadataError) in try self.write(conditions, changes) }
        let continuations = watchers.withLock { $0.continuations }
        for continuation in continuations.values { continuation.yield(revision) }
        return revision
    }

    package func revisions() -> AsyncStream<MetadataRevision> {
        let (stream, continuation) = AsyncStream.makeStream(
            of: MetadataRevision.self,
            bufferingPolicy: .bufferingNewest(1)
        )
        let number = watchers.withLock { watchers in
            watchers.next += 1
            watchers.continuations[watchers.next] = continuation
            return watchers.next
        }
        continuation.onTermination = { [weak self] _ in
            _ = self?.watchers.withLock { $0.continuations.removeValue(forKey: number) }
        }
        return stream
    }

    /// The folder's lock proves it.
    package var isExclusive: Bool { true }

    /// The folder's lock proves that nobody else competes: there is nobody to leave the lease to.
    package func compete(as candidate: LeaseCandidate, _ stand: @escaping @Sendable (LeaseStanding) -> Void) async {
        stand(.held(fence: nil))
        let (never, continuation) = AsyncStream.makeStream(of: Void.self)
        for await _ in never {}
        continuation.finish()
    }

    // MARK: Records elsewhere

    /// The cluster of this folder's coordinator when its records are in another store; nil when they are here.
    package func clusterElsewhere() async throws(MetadataError) -> NodeID? {
        try await lane.run { () throws(MetadataError) in
            try self.reading { database throws(LMDBError) in
                try database.environment.read { transaction throws(LMDBError) in
                    try unsafe transaction.value(of: database.about, key: "elsewhere").flatMap {
                        unsafe $0.count == 16 ? Self.id(Array($0)) : nil
                    }
                }
            }
        }
    }

    /// Remembers for good that the records are in another store, and of which cluster. Those that lie here stay as they
    /// are, and are used no more.
    package func leave(for cluster: NodeID) async throws(MetadataError) {
        try await lane.run { () throws(MetadataError) in
            try self.onDatabase { database throws(LMDBError) in
                try database.environment.write { transaction throws(LMDBError) in
                    try transaction.put(database.about, key: "format", value: Self.format.littleEndianBytes)
                    let bytes = cluster.high.bigEndianBytes + cluster.low.bigEndianBytes
                    try transaction.put(database.about, key: "elsewhere", value: bytes)
                }
            }
        }
    }

    // MARK: On the disk lane

    private func write(
        _ conditions: [MetadataCondition],
        _ changes: [MetadataChange]
    ) throws(MetadataError) -> MetadataRevision {
        try reopenIfFenced()
        let outcome = try onDatabase { database throws(LMDBError) -> Result<MetadataRevision, MetadataError> in
            try database.environment.write { transaction throws(LMDBError) in
                for condition in conditions {
                    let stored = try unsafe transaction.reading.value(of: database.records, key: condition.key)
                    switch unsafe (condition, stored.map { unsafe StoredRecord.decode(key: condition.key, $0) }) {
                    case (.absent, nil): break
                    case (.unchanged(_, let version), .success(let record)?) where record.version == version: break
                    case (_, .failure(let error)?): return .failure(error)
                    default: return .failure(.conflict(key: condition.key))
                    }
                }
                let revision: MetadataRevision
                switch try Self.revision(transaction.reading, database) {
                case .success(let last): revision = MetadataRevision(last.number + 1)
                case .failure(let error): return .failure(error)
                }
                for change in changes {
                    switch change {
                    case .put(let key, let value):
                        let stored = StoredRecord.encode(key: key, value: value, version: revision)
                        try transaction.put(database.records, key: key, value: stored)
                    case .remove(let key): try transaction.delete(database.records, key: key)
                    }
                }
                try transaction.put(database.about, key: "revision", value: revision.number.littleEndianBytes)
                return .success(revision)
            }
        }
        return try outcome.get()
    }

    private func onDatabase<R>(_ body: (Database) throws(LMDBError) -> R) throws(MetadataError) -> R {
        let database = database.withLock { $0 }
        do throws(LMDBError) {
            return try body(database)
        } catch {
            // A fence means that a commit was begun whose end nobody knows.
            throw database.environment.fenceCause == nil || isRefusal(error)
                ? .unavailable(reason: "\(error)") : .outcomeUnknown(reason: "\(error)")
        }
    }

    /// Does what only reads. After a commit of unknown outcome the environment may not be read any more; then the file
    /// is opened anew for it, or once more when that has failed before.
    private func reading<R>(_ body: (Database) throws(LMDBError) -> R) throws(MetadataError) -> R {
        let found = database.withLock { $0 }
        do throws(LMDBError) {
            return try body(found)
        } catch {
            guard found.environment.fenceCause != nil else { throw .unavailable(reason: "\(error)") }
        }
        try reopenIfFenced()
        let reopened = database.withLock { $0 }
        do throws(LMDBError) {
            return try body(reopened)
        } catch {
            throw .unavailable(reason: "\(error)")
        }
    }

    /// Whether nothing was begun.
    private func isRefusal(_ error: LMDBError) -> Bool {
        switch error {
        case .fenced, .closed: true
        default: false
        }
    }

    /// After a commit of unknown outcome the file is opened anew, so that its last whole commit counts.
    private func reopenIfFenced() throws(MetadataError) {
        do throws(LMDBError) {
            try database.withLock { database throws(LMDBError) in
                guard database.environment.fenceCause != nil, !database.isClosed else { return }
                database.environment.close()
                database = try Self.openDatabase(at: path)
            }
        } catch {
            throw .unavailable(reason: "\(error)")
        }
    }

    private func storedFormat() throws(MetadataError) -> UInt32? {
        try onDatabase { database throws(LMDBError) in
            try database.environment.read { transaction throws(LMDBError) in
                try unsafe transaction.value(of: database.about, key: "format").flatMap {
                    unsafe $0.count == 4 ? UInt32(littleEndian: $0.loadUnaligned(as: UInt32.self)) : nil
                }
            }
        }
    }

    private static func openDatabase(at path: String) throws(LMDBError) -> Database {
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 34
        options.maxTables = 4
        options.createDirectory = true
        let environment = try Environment(path: path, options: options)
        let about = try environment.openTable(named: "about", create: true)
        let records = try environment.openTable(named: "records", create: true)
        return Database(environment: environment, about: about, records: records)
    }

    /// The node id of the folder; a new folder gets its id and format here.
    private static func identify(_ database: Database, at path: String) throws(LMDBError) -> NodeID {
        let stored = try database.environment.read { transaction throws(LMDBError) in
            try unsafe transaction.value(of: database.about, key: "node").map { unsafe Array($0) }
        }
        if let stored {
            guard stored.count == 16 else { throw .corrupted(path: path) }
            return id(stored)
        }
        let node = NodeID.random()
        try database.environment.write { transaction throws(LMDBError) in
            try transaction.put(database.about, key: "format", value: formatOfRecordsHere.littleEndianBytes)
            try transaction.put(
                database.about,
                key: "node",
                value: node.high.bigEndianBytes + node.low.bigEndianBytes
            )
        }
        return node
    }

    /// - Precondition: 16 bytes.
    private static func id(_ bytes: [UInt8]) -> NodeID {
        NodeID(high: UInt64(bigEndianBytes: bytes[..<8]), low: UInt64(bigEndianBytes: bytes[8...]))
    }

    private static func revision(
        _ transaction: borrowing ReadTransaction,
        _ database: Database
    ) throws(LMDBError) -> Result<MetadataRevision, MetadataError> {
        let number = try unsafe transaction.value(of: database.about, key: "revision").flatMap {
            unsafe $0.count == 8 ? UInt64(littleEndian: $0.loadUnaligned(as: UInt64.self)) : .max
        }
        // It has no checksum; one that cannot be is noticed.
        guard number ?? 0 <= Epoch.numberLimit else {
            return .failure(.corrupt(key: "revision", reason: "it is none that can have been reached"))
        }
        return .success(MetadataRevision(number ?? 0))
    }

    private static func opening(_ error: LMDBError, at path: String) -> MetadataError {
        if case .corrupted = error { return .corrupt(key: "node", reason: "\(error)") }
        return .unavailable(reason: "\(error)")
    }
}
