internal import BinaryCoding
package import FaceModel

/// Where a partition stands; written by every transaction that changes it.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 2 | format version, 9 |
/// | 2 | 2 | 1 while the partition's writes are logged, else 0 |
/// | 4 | 4 | next row id |
/// | 8 | 4 | first row id that is in no run: a multiple of the rows of a chunk |
/// | 12 | 4 | next run |
/// | 16 | 8 | epoch of the last write |
/// | 24 | 8 | sequence of the last write |
/// | 32 | 8 | live faces |
/// | 40 | 8 | dead rows that are still in a run or fresh |
/// | 48 | 4 | newest codebook generation, 0 for none |
/// | 52 | 4 | zero |
/// | 56 | 8 | number of the oldest receipt kept |
/// | 64 | 8 | number of the next receipt |
/// | 72 | 8 | chain at the last write |
/// | 80 | 8 | promised epoch |
/// | 88 | 8 | sequence of the first entry in the log, or the one behind the last |
/// | 96 | 8, 8, 8 | sequence, epoch and chain of the last entry in the log, or of the last write |
/// | 120 | 4 | CRC-32C |
package struct PartitionState: Hashable, Sendable {
    /// As it was read; what is written is of ``newestFormat``.
    package private(set) var format = newestFormat
    /// Writes come as entries of a log that other replicas have too.
    package var isLogged = false
    package var nextRow: UInt32 = 0
    package var foldedRow: UInt32 = 0
    package var nextRun: UInt32 = 0
    package private(set) var epoch: UInt64 = 0
    package private(set) var sequence: UInt64 = 0
    package var faceCount: UInt64 = 0
    package var tombstoneCount: UInt64 = 0
    package var generation: UInt32 = 0
    package var oldestReceipt: UInt64 = 0
    package var nextReceipt: UInt64 = 0
    /// See ``LogChain``.
    package private(set) var chain: UInt64 = 0
    package var promisedEpoch: UInt64 = 0
    package var firstLogged: UInt64 = 1
    package private(set) var lastLogged = LogPlace(sequence: 0, epoch: 0, chain: 0)

    package static let newestFormat: UInt16 = 9
    /// Highest epoch, sequence or number of a receipt that is believed: nobody has counted so far.
    static let counterLimit: UInt64 = 1 << 62

    /// An entry's place in the log.
    package struct LogPlace: Hashable, Sendable {
        package let sequence: UInt64
        package let epoch: UInt64
        package let chain: UInt64

        package init(sequence: UInt64, epoch: UInt64, chain: UInt64) {
            self.sequence = sequence
            self.epoch = epoch
            self.chain = chain
        }
    }

    package init() {}

    /// The last write.
    package var applied: LogPlace { LogPlace(sequence: sequence, epoch: epoch, chain: chain) }

    /// How many chunks of rows are full.
    package var sealedChunkCount: Int { Int(nextRow) / RowChunk.rowCount }

    /// The first row of the unfinished chunk: those before it are in full ones.
    package var sealedRow: UInt32 { UInt32(sealedChunkCount * RowChunk.rowCount) }

    /// Whether the log has entries that are not applied.
    package var hasUnapplied: Bool { lastLogged.sequence > sequence }

    /// Moves to the next write, one that is in no log. An epoch never falls.
    ///
    /// - Precondition: no entry waits to be applied, and none is in the log.
    package mutating func advance(epoch: UInt64, key: IdempotencyKey) {
        precondition(!hasUnapplied && firstLogged == sequence + 1, "the log has ended")
        self.epoch = max(self.epoch, epoch)
        chain = LogChain.unloggedLink(after: chain, epoch: self.epoch, sequence: sequence + 1, key: key)
        sequence += 1
        firstLogged = sequence + 1
        lastLogged = applied
    }

    /// Moves to the next entry of the log.
    package mutating func advance(to entry: LogEntry) {
        precondition(entry.sequence == sequence + 1 && hasUnapplied, "entries are applied in order")
        (sequence, epoch, chain) = (entry.sequence, entry.epoch, entry.chain)
    }

    /// Goes on where partitions ended whose faces this one took over: equal replicas of them make equal places. No log
    /// goes on behind it.
    ///
    /// The sequence is the sum of theirs, so that no two ends of the same partitions make one place: of two that ended
    /// at 5 and 9 the larger is 9, as it is of those that go on to 6 and 9.
    ///
    /// - Precondition: no entry waits to be applied, and none is in the log.
    package mutating func succeed(_ places: [LogPlace]) {
        precondition(!hasUnapplied && firstLogged == sequence + 1, "the log has ended")
        for place in places { epoch = max(epoch, place.epoch) }
        sequence = places.reduce(0) { min($0 + $1.sequence, Self.counterLimit) }
        chain = LogChain.link(afterAll: places.map(\.chain))
        promisedEpoch = max(promisedEpoch, epoch)
        firstLogged = sequence + 1
        lastLogged = applied
    }

    /// Notes what the log now ends with.
    package mutating func endLog(with place: LogPlace) {
        precondition(place.sequence >= sequence, "what is applied stays")
        lastLogged = place
        firstLogged = min(firstLogged, place.sequence + 1)
    }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 124)
        writer.write(Self.newestFormat)
        writer.write(UInt16(isLogged ? 1 : 0))
        writer.write(nextRow)
        writer.write(foldedRow)
        writer.write(nextRun)
        writer.write(epoch)
        writer.write(sequence)
        writer.write(faceCount)
        writer.write(tombstoneCount)
        writer.write(generation)
        writer.write(UInt32(0))
        writer.write(oldestReceipt)
        writer.write(nextReceipt)
        writer.write(chain)
        writer.write(promisedEpoch)
        writer.write(firstLogged)
        writer.write(lastLogged.sequence)
        writer.write(lastLogged.epoch)
        writer.write(lastLogged.chain)
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        // The version is read before the checksum: a later format may be sealed in another way.
        guard bytes.count >= 2 else { throw .malformed(table: "meta", reason: "the state has \(bytes.count) bytes") }
        format = unsafe UInt16(littleEndian: bytes.loadUnaligned(as: UInt16.self))
        guard format <= Self.newestFormat else { throw .newerFormat(version: format, newest: Self.newestFormat) }
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            try reader.skip(byteCount: 2)
            isLogged = try reader.read(UInt16.self) == 1
            nextRow = try reader.read()
            foldedRow = try reader.read()
            nextRun = try reader.read()
            epoch = try reader.read()
            sequence = try reader.read()
            faceCount = try reader.read()
            tombstoneCount = try reader.read()
            generation = try reader.read()
            _ = try reader.read(UInt32.self)
            oldestReceipt = try reader.read()
            nextReceipt = try reader.read()
            if format >= 4 {
                chain = try reader.read()
                promisedEpoch = try reader.read()
                firstLogged = try reader.read()
                lastLogged = LogPlace(
                    sequence: try reader.read(),
                    epoch: try reader.read(),
                    chain: try reader.read()
                )
            } else {
                firstLogged = sequence &+ 1
                lastLogged = applied
            }
            try reader.finish()
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
        guard isCountable else { throw .malformed(table: "meta", reason: "its numbers cannot be") }
        guard isConsistent else { throw .malformed(table: "meta", reason: "the log ends before the last write") }
    }

    /// Whether there is room behind every number, and none is behind one that it cannot be behind.
    private var isCountable: Bool {
        let counters = [epoch, sequence, promisedEpoch, lastLogged.epoch, lastLogged.sequence, nextReceipt]
        return counters.allSatisfy { $0 <= Self.counterLimit } && oldestReceipt <= nextReceipt && foldedRow <= nextRow
            && nextRun < .max - 1 && max(faceCount, tombstoneCount) <= UInt64(UInt32.max)
    }

    /// Whether the log lies where the writes say: what arithmetic on it relies on.
    private var isConsistent: Bool {
        guard lastLogged.sequence >= sequence, firstLogged > 0, firstLogged <= lastLogged.sequence + 1
        else { return false }
        return hasUnapplied ? firstLogged <= sequence + 1 : lastLogged == applied
    }
}

extension PartitionState {
    /// Takes a face off the count.
    package mutating func removeFace() throws(PartitionStoreError) {
        guard faceCount > 0 else {
            throw .contradiction(table: "meta", key: 0, reason: "it counts fewer faces than there are")
        }
        faceCount -= 1
    }

    /// Takes dead rows off the count that lie nowhere any more.
    package mutating func removeTombstones(_ count: UInt64) throws(PartitionStoreError) {
        guard tombstoneCount >= count else {
            throw .contradiction(table: "meta", key: 0, reason: "it counts fewer dead rows than there are")
        }
        tombstoneCount -= count
    }
}
