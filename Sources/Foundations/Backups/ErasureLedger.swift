internal import BinaryCoding
package import FaceModel
internal import FaceRecords

/// A collection's ledger of erasures as a file: who was deleted or expired when, under pseudonyms. Without the key,
/// which is in backups and not here, it tells of nobody.
///
/// | bytes | field |
/// |---|---|
/// | 4 | magic `MLDG` |
/// | 2 | layout, 1 |
/// | 2 | zero |
/// | 16 | collection |
/// | string | its name |
/// | 16 | mark of the erasure key: what it makes of the id of 16 zero bytes; low half, high half |
/// | 8, 8 | from when until when it is whole, milliseconds since 1970 |
/// | 4, then 40 each | erasures: pseudonym (16: low half, high half), epoch, sequence and time of the write (8 each) |
/// | 32 | SHA-256 of everything before |
package struct ErasureLedger: Hashable, Sendable {
    package var collection: CollectionID
    package var name: String
    package var keyMark: UInt128
    package var since: Timestamp
    package var until: Timestamp
    package var erasures: [Erasure]

    package init(
        collection: CollectionID,
        name: String,
        keyMark: UInt128,
        since: Timestamp,
        until: Timestamp,
        erasures: [Erasure]
    ) {
        self.collection = collection
        self.name = name
        self.keyMark = keyMark
        self.since = since
        self.until = until
        self.erasures = erasures
    }

    /// Longest ledger that is read: some 26 million erasures.
    package static let longestByteCount = 1 << 30
    private static let layout: UInt16 = 1
    private static let form = SealedObject(
        magic: "MLDG",
        layouts: 1...layout,
        longestByteCount: longestByteCount,
        name: "a ledger of erasures"
    )
    private static let erasureByteCount = 40

    /// By which it is known whether a ledger is of a key.
    package static func mark(of key: ErasureKey) -> UInt128 { key.pseudonym(of: FaceID(high: 0, low: 0)) }

    package func encoded() -> [UInt8] {
        let byteCount = 256 + erasures.count * Self.erasureByteCount
        var writer = Self.form.begin(layout: Self.layout, reservingByteCount: byteCount)
        writer.write(UInt16(0))
        writer.write(collection.high)
        writer.write(collection.low)
        writer.write(string: name)
        writer.write(keyMark)
        writer.write(since.milliseconds)
        writer.write(until.milliseconds)
        writer.write(UInt32(erasures.count))
        for erasure in erasures {
            writer.write(erasure.pseudonym)
            writer.write(erasure.version.epoch)
            writer.write(erasure.version.sequence)
            writer.write(erasure.time.milliseconds)
        }
        return Self.form.seal(&writer)
    }

    /// Its bytes, of which it is known that they can be read.
    ///
    /// - Parameters:
    ///   - object: names it in an error.
    ///   - limit: of bytes: longer ones are not read.
    package func sealed(
        for object: String,
        limit: Int = ErasureLedger.longestByteCount
    ) throws(BackupError) -> [UInt8] {
        guard erasures.count <= limit / Self.erasureByteCount else { throw tooLong(object, limit) }
        let bytes = encoded()
        guard bytes.count <= limit else { throw tooLong(object, limit) }
        _ = try ErasureLedger(bytes: bytes, object: object)
        return bytes
    }

    private func tooLong(_ object: String, _ limit: Int) -> BackupError {
        .storeFailed(
            object: object,
            reason: "the ledger has \(erasures.count) erasures of \(Self.erasureByteCount) bytes, and none is read "
                + "that is longer than \(limit) bytes: nothing was written; a shorter worker.erasure_retention makes "
                + "it shorter"
        )
    }

    /// Erasures of an earlier ledger of the same collection that are not in this one, beside those that may have been
    /// forgotten since, whatever clocks say.
    package func missingCount(of earlier: ErasureLedger) -> Int {
        func precedes(_ one: Erasure, _ other: Erasure) -> Bool {
            (one.pseudonym, one.version) < (other.pseudonym, other.version)
        }
        let forgotten = since.milliseconds + ErasureFilter.clockDifference
        let kept = earlier.erasures.filter { $0.time.milliseconds > forgotten }.sorted(by: precedes)
        let own = erasures.sorted(by: precedes)
        var (count, index) = (0, 0)
        for erasure in kept {
            while index < own.count, precedes(own[index], erasure) { index += 1 }
            if index == own.count || precedes(erasure, own[index]) { count += 1 }
        }
        return count
    }

    /// Reads a ledger from anywhere; nothing in it is believed before its digest is right.
    ///
    /// - Parameter object: names it in an error.
    package init(bytes: [UInt8], object: String) throws(BackupError) {
        self = try Self.form.open(bytes, object: object) {
            (reader: inout ByteReader, _: UInt16) throws(BinaryCodingError) -> ErasureLedger in
            guard try reader.read(UInt16.self) == 0 else { throw .invalidValue(field: "zero", offset: 6) }
            return try ErasureLedger(&reader)
        }
        let times = Timestamp.computable
        guard times.contains(since), times.contains(until), erasures.allSatisfy({ times.contains($0.time) }) else {
            throw .damaged(object: object, reason: "a time in it is none")
        }
    }

    private init(_ reader: inout ByteReader) throws(BinaryCodingError) {
        collection = CollectionID(high: try reader.read(), low: try reader.read())
        name = try reader.readString()
        keyMark = try reader.read()
        since = Timestamp(milliseconds: try reader.read())
        until = Timestamp(milliseconds: try reader.read())
        let count = try reader.readCount(leastByteCount: Self.erasureByteCount)
        erasures = []
        erasures.reserveCapacity(count)
        for _ in 0..<count {
            erasures.append(
                Erasure(
                    pseudonym: try reader.read(),
                    version: FaceVersion(epoch: try reader.read(), sequence: try reader.read()),
                    time: Timestamp(milliseconds: try reader.read())
                )
            )
        }
    }
}

/// The erasures of a collection's shards, each once: of a shard that is split both halves have them all.
package struct GatheredErasures: Sendable {
    private static let firstCount = 1 << 16

    private var gathered: [Erasure] = []
    /// So many are looked through for repetitions.
    private var nextCount = Self.firstCount

    package init() {}

    package mutating func add(_ erasures: some Sequence<Erasure>) {
        gathered += erasures
        guard gathered.count >= nextCount else { return }
        gathered.removeRepetitions()
        nextCount = max(gathered.count * 2, Self.firstCount)
    }

    /// In no order that means anything.
    package mutating func all() -> [Erasure] {
        gathered.removeRepetitions()
        return gathered
    }
}

/// Which faces of a backup must not come back, by all the ledgers that there are.
///
/// Collections that were restored from one another's backups have the same key, and each has versions of its own from
/// there on. So the collection that was backed up tells by versions which of its faces were deleted after the cut; of
/// another it counts that a face was deleted after the backup was taken. What was deleted from the one no other knows:
/// ledgers of others do not make those of the backed up collection whole.
///
/// Where times are compared they are of several machines: the backup's is of the program that made it, a loss is dated
/// by a coordinator, an erasure by a worker. What they say counts as far as it holds with clocks an hour apart.
package struct ErasureFilter: Sendable {
    /// Milliseconds.
    fileprivate static let clockDifference: Int64 = 3_600_000

    private let collection: CollectionID
    /// By the same clock as it is in ledgers that have had everything from the beginning.
    private let collectionCreated: Timestamp
    private let key: ErasureKey
    private let earliestCut: FaceVersion
    private let start: Timestamp
    /// Of each pseudonym the latest write by the collection that was backed up.
    private var erased: [UInt128: (version: FaceVersion, time: Timestamp)] = [:]
    /// When others last erased each pseudonym.
    private var erasedElsewhere: [UInt128: Timestamp] = [:]
    private var spans: [(since: Timestamp, until: Timestamp)] = []

    package init(for manifest: BackupManifest) {
        collection = manifest.collection.id
        collectionCreated = manifest.collection.created
        key = manifest.erasureKey
        earliestCut = manifest.earliestCut
        start = manifest.created
    }

    package func isOfKey(_ ledger: ErasureLedger) -> Bool { ledger.keyMark == ErasureLedger.mark(of: key) }

    /// - Precondition: it is of the backup's key.
    package mutating func add(_ ledger: ErasureLedger) {
        precondition(isOfKey(ledger), "a ledger of another key tells nothing")
        let isOwn = ledger.collection == collection
        if isOwn { spans.append((ledger.since, ledger.until)) }
        for erasure in ledger.erasures where concerns(erasure, isOwn: isOwn) {
            let pseudonym = erasure.pseudonym
            guard isOwn else {
                erasedElsewhere[pseudonym] = max(erasedElsewhere[pseudonym] ?? erasure.time, erasure.time)
                continue
            }
            let (version, time) = (erasure.version, erasure.time)
            if let known = erased[pseudonym], (known.version, known.time) >= (version, time) { continue }
            erased[pseudonym] = (version, time)
        }
    }

    /// Whether an erasure may be of a face that the backup has. One from a copy that may have come shortly before the
    /// backup counts: rather a face stays away that was deleted from the copy alone than that one comes back.
    ///
    /// - Parameter isOwn: whether the collection that was backed up tells of it.
    package func concerns(_ erasure: Erasure, isOwn: Bool) -> Bool {
        isOwn
            ? erasure.version > earliestCut
            : erasure.time.milliseconds >= start.milliseconds - Self.clockDifference
    }

    /// Whether a face was deleted in this version or a later one, or has expired in the collection that was backed up
    /// before this version would have. One that was enrolled again after that is another.
    ///
    /// A version whose own time was over then goes in, and expires by itself: what an interrupted restoration has sent
    /// is what it sends when it goes on, whatever has expired meanwhile.
    ///
    /// - Parameter moment: nil for what the backup has; for what the log brought after it, the moment that is restored:
    ///   up to then the collection had it, or had it again, whatever was deleted from others meanwhile. What was
    ///   deleted from one of them later, or shortly before, is not to be there.
    package func isErased(_ row: ArchivedFaces.Row, broughtBefore moment: Timestamp? = nil) -> Bool {
        let pseudonym = key.pseudonym(of: row.id)
        if let deletion = erased[pseudonym], deletion.version > row.version { return true }
        if let expiry = erased[ErasureKey.ofExpired(pseudonym)], expiry.version > row.version,
            row.metadata.expires.map({ $0 > expiry.time }) ?? true
        {
            return true
        }
        guard let elsewhere = erasedElsewhere[pseudonym] else { return false }
        return moment.map { elsewhere.milliseconds >= $0.milliseconds - Self.clockDifference } ?? true
    }

    /// Up to when the ledgers know every deletion from the collection since it was backed up; nil when they do not
    /// reach back to that.
    package var knownUntil: Timestamp? {
        var until: Timestamp?
        for span in spans.sorted(by: { $0.since < $1.since }) where reaches(from: span.since, backTo: until ?? start) {
            until = max(until ?? span.until, span.until)
        }
        return until
    }

    /// Whether what is whole from a time on is so since the collection was backed up.
    package func reachesBackup(from since: Timestamp) -> Bool { reaches(from: since, backTo: start) }

    /// Whether what is whole from one time on is so from another on. With the collection it began before any backup.
    private func reaches(from since: Timestamp, backTo time: Timestamp) -> Bool {
        since <= collectionCreated || since.milliseconds <= time.milliseconds - Self.clockDifference
    }
}
