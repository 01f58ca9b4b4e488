import FaceModel
import PartitionStore
import Testing

struct RemnantRecordTests {
    private static func moment(_ time: UInt64) -> RemnantRecord.Moment {
        RemnantRecord.Moment(time: time, wallTime: Timestamp(milliseconds: Int64(time) + 1000))
    }

    private static func read(_ bytes: [UInt8]) throws -> RemnantRecord {
        try bytes.withUnsafeBytes { try RemnantRecord(bytes: $0) }
    }

    @Test func theOldestOfEachRoundIsKept() {
        var record = RemnantRecord()
        #expect(record.oldestOfAll == nil)
        let (isFirst, isNext) = (record.note(Self.moment(5)), record.note(Self.moment(6)))
        #expect(isFirst && !isNext)
        record.beginRound()
        #expect(record.oldest == nil && record.oldestOfRound == Self.moment(5))
        _ = record.note(Self.moment(7))
        #expect(record.oldest == Self.moment(7) && record.oldestOfAll == Self.moment(5))
        // Cut short, and begun anew: with what has come since.
        record.beginRound()
        #expect(record.oldest == nil && record.oldestOfRound == Self.moment(5))
        _ = record.note(Self.moment(9))
        record.endRound()
        #expect(record.oldestOfAll == Self.moment(9))
    }

    @Test func recordsAreReadAsTheyWereWritten() throws {
        var record = RemnantRecord()
        #expect(record.encoded().prefix(4) == [0, 0, 0, 0] && record.encoded().count == 8)
        #expect(try Self.read(record.encoded()) == record)
        _ = record.note(Self.moment(5))
        #expect(record.encoded().prefix(20) == [1, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0xed, 3, 0, 0, 0, 0, 0, 0])
        #expect(try Self.read(record.encoded()) == record)
        record.beginRound()
        #expect(record.encoded().first == 2)
        #expect(try Self.read(record.encoded()) == record)
        _ = record.note(Self.moment(8))
        let bytes = record.encoded()
        #expect(bytes.count == 40)
        #expect(try Self.read(bytes) == record)
        for count in 0..<bytes.count {
            #expect(throws: PartitionStoreError.self) { try Self.read(Array(bytes.prefix(count))) }
        }
        for bit in 0..<bytes.count * 8 {
            var changed = bytes
            changed[bit / 8] ^= 1 << (bit % 8)
            #expect(throws: PartitionStoreError.self) { try Self.read(changed) }
        }
    }
}
