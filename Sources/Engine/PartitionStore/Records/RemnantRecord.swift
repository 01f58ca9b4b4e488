internal import BinaryCoding
package import FaceModel

/// Since when bytes of embeddings are in the file that belong to no face any more: *remnants*.
///
/// | bytes | field |
/// |---|---|
/// | 4 | bit 0: the first moment follows; bit 1: the second |
/// | 8, 8 | moment of the oldest remnant that no round of erasing takes away: by the partition's clock, time of day |
/// | 8, 8 | moment of the oldest that the round under way takes away |
/// | 4 | CRC-32C |
///
/// Times are milliseconds. The partition's own clock stands still while nobody has the partition open, and the time of
/// day may be set back: a remnant is as old as the one says that says more.
package struct RemnantRecord: Hashable, Sendable {
    package struct Moment: Hashable, Sendable {
        package let time: UInt64
        package let wallTime: Timestamp

        package init(time: UInt64, wallTime: Timestamp) {
            self.time = time
            self.wallTime = wallTime
        }
    }

    /// Of the oldest remnant that came since the last round began; nil when there is none.
    package private(set) var oldest: Moment?
    /// Of the oldest one that was there when the round under way began; nil while there is no round.
    package private(set) var oldestOfRound: Moment?

    package init() {}

    /// The oldest of all.
    package var oldestOfAll: Moment? { oldestOfRound ?? oldest }

    /// - Returns: whether that changes anything: it is the first since the last round began.
    package mutating func note(_ moment: Moment) -> Bool {
        guard oldest == nil else { return false }
        oldest = moment
        return true
    }

    /// All remnants that there are belong to a round from now on. One that was cut short begins anew.
    package mutating func beginRound() {
        oldestOfRound = oldestOfAll
        oldest = nil
    }

    package mutating func endRound() { oldestOfRound = nil }

    package func encoded() -> [UInt8] {
        var writer = ByteWriter(reservingByteCount: 40)
        writer.write(UInt32((oldest == nil ? 0 : 1) | (oldestOfRound == nil ? 0 : 2)))
        for moment in [oldest, oldestOfRound] {
            guard let moment else { continue }
            writer.write(moment.time)
            writer.write(moment.wallTime.milliseconds)
        }
        return RecordSeal.seal(writer)
    }

    package init(bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) {
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 0)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            let fields = try reader.read(UInt32.self)
            guard fields < 4 else { throw BinaryCodingError.invalidValue(field: "fields", offset: 0) }
            if fields & 1 != 0 { oldest = try Self.moment(&reader) }
            if fields & 2 != 0 { oldestOfRound = try Self.moment(&reader) }
            try reader.finish()
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
    }

    private static func moment(_ reader: inout ByteReader) throws(BinaryCodingError) -> Moment {
        let time = try reader.read(UInt64.self)
        guard time <= PartitionState.counterLimit else { throw .invalidValue(field: "time", offset: 4) }
        return Moment(time: time, wallTime: Timestamp(milliseconds: try reader.read()))
    }
}
