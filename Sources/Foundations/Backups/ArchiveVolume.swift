internal import BinaryCoding
package import ClusterModel
package import FaceModel

/// A piece of the list of a collection's archived log. Each names the one before by its digest, so that what is cut
/// out, changed or missing is noticed and named.
///
/// The newest grows: every revision has the parts of the one before, which goes when the new one is durable. A full one
/// stays as it is, and the next begins.
///
/// | field | form |
/// |---|---|
/// | magic | `MARC`, 4 bytes |
/// | layout | u16 = 1 |
/// | zero | u16 |
/// | collection | 16 bytes, and its name (text) |
/// | cluster | 16 bytes |
/// | number, revision | u32 each; numbers begin at 1 |
/// | volume before | u8: 0 none, 1 revision u32 and SHA-256 (32) |
/// | written | i64, milliseconds since 1970, by the coordinator's clock |
/// | parts | u32 count, then each, of one shard in order: shard u32, first and last hash u64, places before and |
/// | | behind it (32 each), u8: 1 when it continues the part before, entries u32, bytes u32, |
/// | | SHA-256 of the segment (32; zeros, as entries and bytes, when it has none) |
/// | shards | u32 count, then each: shard u32, first and last hash u64, place that is reached (32), |
/// | | until when everything is there (i64); those whose place others have taken as they stood last |
/// | SHA-256 of everything before | 32 bytes |
///
/// A place is sequence, epoch, chain (u64 each) and time (i64).
package struct ArchiveVolume: Hashable, Sendable {
    package struct Previous: Hashable, Sendable {
        package var revision: UInt32
        package var digest: BackupDigest

        package init(revision: UInt32, digest: BackupDigest) {
            self.revision = revision
            self.digest = digest
        }
    }

    /// A shard, by what it is in the archive: another range is another shard.
    package struct Shard: Hashable, Sendable {
        package var index: UInt32
        package var range: HashRange

        package init(index: UInt32, range: HashRange) {
            self.index = index
            self.range = range
        }

        /// Whether it, or what it took the place of, took the place of another: it overlaps that, and has a higher
        /// index, since indices only rise.
        func follows(_ other: Shard) -> Bool { index > other.index && range.overlaps(other.range) }
    }

    /// Entries that lie in one segment; none where the archive of a shard begins, or begins anew.
    package struct Part: Hashable, Sendable {
        package var shard: Shard
        package var start: ArchivePosition
        package var end: ArchivePosition
        /// Whether it goes on where the shard's part before ends. If not, what lies between is missing.
        package var continues: Bool
        package var segment: Segment?

        package init(
            shard: Shard,
            start: ArchivePosition,
            end: ArchivePosition,
            continues: Bool,
            segment: Segment?
        ) {
            self.shard = shard
            self.start = start
            self.end = end
            self.continues = continues
            self.segment = segment
        }
    }

    package struct Segment: Hashable, Sendable {
        package var entryCount: UInt32
        package var byteCount: UInt32
        package var digest: BackupDigest

        package init(entryCount: UInt32, byteCount: UInt32, digest: BackupDigest) {
            self.entryCount = entryCount
            self.byteCount = byteCount
            self.digest = digest
        }
    }

    /// How far a shard is archived, at the end of the volume.
    package struct Standing: Hashable, Sendable {
        package var shard: Shard
        package var position: ArchivePosition
        /// Everything that was ordered up to then is in the archive.
        package var until: Timestamp

        package init(shard: Shard, position: ArchivePosition, until: Timestamp) {
            self.shard = shard
            self.position = position
            self.until = until
        }
    }

    package var collection: CollectionID
    package var name: String
    package var cluster: NodeID
    package var number: UInt32
    package var revision: UInt32
    package var previous: Previous?
    package var written: Timestamp
    package var parts: [Part]
    package var standings: [Standing]

    package init(
        collection: CollectionID,
        name: String,
        cluster: NodeID,
        number: UInt32,
        revision: UInt32,
        previous: Previous?,
        written: Timestamp,
        parts: [Part],
        standings: [Standing]
    ) {
        self.collection = collection
        self.name = name
        self.cluster = cluster
        self.number = number
        self.revision = revision
        self.previous = previous
        self.written = written
        self.parts = parts
        self.standings = standings
    }

    /// Parts after which a volume is full, and the most that one can have: a round brings a few for each shard.
    package static let partLimit = 512
    package static let longestByteCount = 16 << 20
    private static let layout: UInt16 = 1
    private static let form = SealedObject(
        magic: "MARC",
        layouts: 1...layout,
        longestByteCount: longestByteCount,
        name: "a volume of an archive"
    )
    private static let partByteCount = 125
    private static let standingByteCount = 60

    /// Shards whose place others have taken.
    package static func replaced(among shards: [Shard]) -> Set<Shard> {
        Set(shards.filter { shard in shards.contains { $0.follows(shard) } })
    }

    /// Bytes of all segments.
    package var byteCount: UInt64 { parts.reduce(0) { $0 + UInt64($1.segment?.byteCount ?? 0) } }

    package func encoded() -> [UInt8] {
        let byteCount = 512 + parts.count * Self.partByteCount
        var writer = Self.form.begin(layout: Self.layout, reservingByteCount: byteCount)
        writer.write(UInt16(0))
        writer.write(collection.high)
        writer.write(collection.low)
        writer.write(string: name)
        writer.write(cluster.high)
        writer.write(cluster.low)
        writer.write(number)
        writer.write(revision)
        writer.write(UInt8(previous == nil ? 0 : 1))
        if let previous {
            writer.write(previous.revision)
            writer.write(bytes: previous.digest.bytes)
        }
        writer.write(written.milliseconds)
        writer.write(UInt32(parts.count))
        for part in parts {
            Self.write(part.shard, to: &writer)
            Self.write(part.start, to: &writer)
            Self.write(part.end, to: &writer)
            writer.write(UInt8(part.continues ? 1 : 0))
            writer.write(part.segment?.entryCount ?? 0)
            writer.write(part.segment?.byteCount ?? 0)
            writer.write(bytes: part.segment?.digest.bytes ?? [UInt8](repeating: 0, count: BackupDigest.byteCount))
        }
        writer.write(UInt32(standings.count))
        for standing in standings {
            Self.write(standing.shard, to: &writer)
            Self.write(standing.position, to: &writer)
            writer.write(standing.until.milliseconds)
        }
        return Self.form.seal(&writer)
    }

    private static func write(_ shard: Shard, to writer: inout ByteWriter) {
        writer.write(shard.index)
        writer.write(shard.range.first)
        writer.write(shard.range.last)
    }

    private static func write(_ position: ArchivePosition, to writer: inout ByteWriter) {
        writer.write(position.sequence)
        writer.write(position.epoch)
        writer.write(position.chain)
        writer.write(position.time.milliseconds)
    }

    /// Reads a volume from anywhere; nothing in it is believed before its digest is right.
    ///
    /// - Parameter object: names it in an error.
    package init(bytes: [UInt8], object: String) throws(BackupError) {
        self = try Self.form.open(bytes, object: object) {
            (reader: inout ByteReader, _: UInt16) throws(BinaryCodingError) -> ArchiveVolume in
            try ArchiveVolume(&reader)
        }
        if let problem { throw .damaged(object: object, reason: problem) }
    }

    private init(_ reader: inout ByteReader) throws(BinaryCodingError) {
        guard try reader.read(UInt16.self) == 0 else { throw .invalidValue(field: "zero", offset: 6) }
        collection = CollectionID(high: try reader.read(), low: try reader.read())
        name = try reader.readString()
        cluster = NodeID(high: try reader.read(), low: try reader.read())
        number = try reader.read()
        revision = try reader.read()
        switch try reader.read(UInt8.self) {
        case 0: previous = nil
        case 1:
            previous = Previous(
                revision: try reader.read(),
                digest: BackupDigest(bytes: try reader.readBytes(count: BackupDigest.byteCount))
            )
        default: throw .invalidValue(field: "volume before", offset: reader.offset - 1)
        }
        written = Timestamp(milliseconds: try reader.read())
        parts = []
        for _ in 0..<(try reader.readCount(leastByteCount: Self.partByteCount)) {
            parts.append(try Self.readPart(&reader))
        }
        standings = []
        for _ in 0..<(try reader.readCount(leastByteCount: Self.standingByteCount)) {
            standings.append(
                Standing(
                    shard: try Self.readShard(&reader),
                    position: try Self.readPosition(&reader),
                    until: Timestamp(milliseconds: try reader.read())
                )
            )
        }
    }

    private static func readPart(_ reader: inout ByteReader) throws(BinaryCodingError) -> Part {
        let shard = try readShard(&reader)
        let (start, end) = (try readPosition(&reader), try readPosition(&reader))
        let continues = try reader.read(UInt8.self)
        guard continues <= 1 else { throw .invalidValue(field: "continues", offset: reader.offset - 1) }
        let (entryCount, byteCount) = (try reader.read(UInt32.self), try reader.read(UInt32.self))
        let digest = BackupDigest(bytes: try reader.readBytes(count: BackupDigest.byteCount))
        guard entryCount > 0 || byteCount == 0 && digest.bytes.allSatisfy({ $0 == 0 }) else {
            throw .invalidValue(field: "segment", offset: reader.offset)
        }
        return Part(
            shard: shard,
            start: start,
            end: end,
            continues: continues == 1,
            segment: entryCount == 0 ? nil : Segment(entryCount: entryCount, byteCount: byteCount, digest: digest)
        )
    }

    private static func readShard(_ reader: inout ByteReader) throws(BinaryCodingError) -> Shard {
        let index = try reader.read(UInt32.self)
        let offset = reader.offset
        let (first, last) = (try reader.read(UInt64.self), try reader.read(UInt64.self))
        guard first <= last else { throw .invalidValue(field: "hash range", offset: offset) }
        return Shard(index: index, range: HashRange(first: first, last: last))
    }

    private static func readPosition(_ reader: inout ByteReader) throws(BinaryCodingError) -> ArchivePosition {
        ArchivePosition(
            sequence: try reader.read(),
            epoch: try reader.read(),
            chain: try reader.read(),
            time: Timestamp(milliseconds: try reader.read())
        )
    }

    /// What its parts say against each other, as a sentence; nil when they agree.
    private var problem: String? {
        guard number > 0 else { return "volumes are numbered from 1" }
        guard number < .max, revision < .max else { return "it has the last number that there is" }
        guard parts.allSatisfy({ $0.start.isPossible && $0.end.isPossible }),
            standings.allSatisfy({ $0.position.isPossible && Timestamp.computable.contains($0.until) })
        else { return "a place in it is none that a log can have" }
        guard Timestamp.computable.contains(written) else { return "it was written at no time" }
        for part in parts {
            let count = UInt64(part.segment?.entryCount ?? 0)
            guard part.end.sequence >= part.start.sequence, part.end.sequence - part.start.sequence == count,
                part.end.epoch >= part.start.epoch, part.end.time >= part.start.time
            else { return "a part has not the entries between its ends" }
            guard count > 0 || part.start == part.end && !part.continues else { return "a part is empty" }
            guard Int(part.segment?.byteCount ?? 0) <= LogSegment.longestByteCount else {
                return "a segment is too long"
            }
        }
        guard Set(standings.map(\.shard)).count == standings.count else { return "a shard is named twice" }
        var ends: [Shard: ArchivePosition] = [:]
        for part in parts {
            if part.continues, let end = ends[part.shard], end != part.start {
                return "a part of shard \(part.shard.index) does not begin where the one before ends"
            }
            ends[part.shard] = part.end
        }
        for standing in standings {
            if let end = ends[standing.shard], end != standing.position {
                return "shard \(standing.shard.index) does not stand where its last part ends"
            }
        }
        return nil
    }
}
