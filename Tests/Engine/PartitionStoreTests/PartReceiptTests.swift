import BinaryCoding
import FaceModel
import PartitionStore
import Testing

/// Receipts of a part of a write, in a partition that took the place of several.
@Suite struct PartReceiptTests {
    private let part = ReceiptRecord(
        sequence: 0x0102,
        outcome: .deleted([.deleted, .absent]),
        rowChecksums: [5, 6],
        reach: RingRanges([16...31])
    )

    @Test func rangesThatTouchAreOne() {
        #expect(RingRanges([5...9, 0...3]).ranges == [0...3, 5...9])
        #expect(RingRanges([4...9, 0...3]).ranges == [0...9])
        #expect(RingRanges([0...9, 2...3, 9...12]).ranges == [0...12])
        #expect(RingRanges([7...UInt64.max, 3...6, UInt64.max...UInt64.max]).ranges == [3...UInt64.max])
        let ranges = RingRanges([5...9, 20...29])
        #expect([5, 9, 20, 29].allSatisfy(ranges.contains) && ![4, 10, 19, 30].contains(where: ranges.contains))
        #expect(ranges.covers(5...9) && ranges.covers(21...22) && !ranges.covers(5...20) && !ranges.covers(0...9))
    }

    @Test func itHasItsBytes() throws {
        let bytes = part.encoded()
        #expect(bytes.count == 47)
        #expect(Array(bytes[..<15]) == [2, 1, 0, 0, 0, 0, 0, 0, 8, 2, 0, 0, 0, 1, 0])
        #expect(Array(bytes[15..<27]) == [5, 0, 0, 0, 6, 0, 0, 0, 1, 0, 0, 0])
        #expect(Array(bytes[27..<43]) == [16, 0, 0, 0, 0, 0, 0, 0, 31, 0, 0, 0, 0, 0, 0, 0])
        #expect(try bytes.withUnsafeBytes { try ReceiptRecord(bytes: $0) } == part)
        let enrolment = ReceiptRecord(
            sequence: 1,
            outcome: .enrolled([.accepted]),
            rowChecksums: [7],
            reach: RingRanges([0...3, 5...9])
        )
        #expect(enrolment.encoded()[8] == 7)
        #expect(try enrolment.encoded().withUnsafeBytes { try ReceiptRecord(bytes: $0) } == enrolment)
        #expect(EarlierReceipt(key: IdempotencyKey(high: 1, low: 2), sequence: 3).isOf(part))
    }

    @Test func rangesThatAreNoneAreRefused() throws {
        func sealed(_ ranges: [(UInt64, UInt64)]) -> [UInt8] {
            var writer = ByteWriter()
            writer.write(bytes: part.encoded()[..<23])
            writer.write(UInt32(ranges.count))
            for (first, last) in ranges {
                writer.write(first)
                writer.write(last)
            }
            return RecordSeal.seal(writer)
        }
        #expect(sealed([(16, 31)]) == part.encoded())
        let wrong: [[(UInt64, UInt64)]] = [
            [], [(2, 1)], [(5, 9), (0, 3)], [(0, 3), (4, 9)], [(0, 5), (3, 9)], [(0, 5), (0, 5)],
        ]
        for ranges in wrong {
            #expect(throws: PartitionStoreError.self, "\(ranges)") {
                try sealed(ranges).withUnsafeBytes { _ = try ReceiptRecord(bytes: $0) }
            }
        }
    }

    @Test func rowsBeyondItsReachAreNotItsOwn() {
        // One beyond it looks like one of its rows.
        #expect(part.positions(ofRows: [6, 5, 5], isEnrolment: false) { $0 != 1 } == [1, nil, 0])
        #expect(part.positions(ofRows: [6, 7], isEnrolment: false) { $0 == 0 } == [1, nil])
        #expect(part.positions(ofRows: [7], isEnrolment: false) { _ in false } == [nil])
        // Within its reach all rows are known.
        #expect(part.positions(ofRows: [6, 7], isEnrolment: false) { _ in true } == nil)
        #expect(part.positions(ofRows: [5, 5], isEnrolment: false) { _ in true } == nil)
        #expect(part.positions(ofRows: [6], isEnrolment: true) { _ in true } == nil)
        #expect(part.outcome(ofRows: [6, 5], isEnrolment: false) == .deleted([.absent, .deleted]))
    }

    @Test func whatAnotherPartitionHadIsMissingUntilItComes() {
        let (lower, upper): (ClosedRange<UInt64>, ClosedRange<UInt64>) = (0...99, 100...199)
        let (third, all): (ClosedRange<UInt64>, ClosedRange<UInt64>) = (200...299, 0...299)
        let receipt = ReceiptRecord(sequence: 4, outcome: .deleted([.deleted]), rowChecksums: [5])
        let other = ReceiptRecord(sequence: 7, outcome: .deleted([.absent]), rowChecksums: [9])
        // Whoever takes a part of the other's faces over needs no more than that had, and says that it came over.
        let half = ReceiptRecord(sequence: 4, outcome: receipt.outcome, rowChecksums: [5], isInherited: true)
        #expect(receipt.inherited(from: all, in: lower) == half && half.reach == nil && half.encoded()[8] == 6)
        let inherited = receipt.inherited(from: lower, in: all)
        #expect(inherited.reach == RingRanges([lower]) && inherited.isInherited)
        let two = inherited.joined(with: other.inherited(from: third, in: all), in: all)
        #expect(two?.reach == RingRanges([lower, third]))
        let three = two?.joined(with: other.inherited(from: upper, in: all), in: all)
        let whole = ReceiptRecord(
            sequence: 7,
            outcome: .deleted([.deleted, .absent, .absent]),
            rowChecksums: [5, 9, 9],
            isInherited: true
        )
        #expect(three == whole)
        // What it tells of may be all that a part of its partition has, or not.
        #expect(inherited.inherited(from: all, in: 10...20).reach == nil)
        #expect(inherited.inherited(from: all, in: 90...110).reach == RingRanges([lower]))
        #expect(inherited.inherited(from: all, in: upper).reach == RingRanges([lower]))
        // From before there were checksums: there is no telling one row from another.
        let old = ReceiptRecord(sequence: 4, outcome: .deleted([.deleted]), rowChecksums: nil)
        #expect(old.inherited(from: lower, in: all) == old)
    }

    @Test func ofOnePartitionTheLaterReceiptOfAKeyCounts() {
        let (lower, upper, all): (ClosedRange<UInt64>, ClosedRange<UInt64>, ClosedRange<UInt64>) = (
            0...99, 100...199, 0...199
        )
        let first = ReceiptRecord(sequence: 4, outcome: .enrolled([.accepted]), rowChecksums: [5])
        let again = ReceiptRecord(sequence: 9, outcome: .enrolled([.replaced]), rowChecksums: [5])
        let deletion = ReceiptRecord(sequence: 9, outcome: .deleted([.deleted]), rowChecksums: [6])
        // Of a half there is one source, whatever its receipts tell of.
        for reach in [nil, RingRanges([150...199])] {
            let known = ReceiptRecord(
                sequence: 4,
                outcome: first.outcome,
                rowChecksums: [5],
                isInherited: true,
                reach: reach
            )
            for later in [again, deletion] {
                let later = later.inherited(from: all, in: lower)
                #expect(known.updated(with: later, from: all, in: lower) == later)
                #expect(later.updated(with: known, from: all, in: lower) == nil)
            }
            #expect(known.updated(with: known, from: all, in: lower) == nil, "the same once more")
        }
        let known = first.inherited(from: lower, in: all)
        for later in [again, deletion] {
            let later = later.inherited(from: lower, in: all)
            #expect(known.updated(with: later, from: lower, in: all) == later)
            #expect(later.updated(with: known, from: lower, in: all) == nil)
        }
        // Of both: what the other has done stays, if it is of the same kind.
        let other = ReceiptRecord(sequence: 20, outcome: .enrolled([.accepted]), rowChecksums: [7])
        let joined = known.updated(with: other.inherited(from: upper, in: all), from: upper, in: all)
        let both = ReceiptRecord(
            sequence: 20,
            outcome: .enrolled([.accepted, .accepted]),
            rowChecksums: [5, 7],
            isInherited: true
        )
        #expect(joined == both)
        let updated = both.updated(with: again.inherited(from: lower, in: all), from: lower, in: all)
        #expect(updated?.outcome == .enrolled([.accepted, .replaced]) && updated?.rowChecksums == [7, 5])
        #expect(updated?.sequence == 20 && updated?.reach == nil && updated?.isInherited == true)
        let reused = deletion.inherited(from: lower, in: all)
        #expect(both.updated(with: reused, from: lower, in: all) == reused)
        // From before there were checksums nobody knows where it is from.
        let old = ReceiptRecord(sequence: 4, outcome: .deleted([.deleted]), rowChecksums: nil)
        #expect(old.updated(with: old, from: upper, in: all)?.outcome == .deleted([.deleted, .deleted]))
    }

    /// Every program that orders the rest of a write, or looks for it, has to find the same key.
    @Test func theKeyOfTheRestIsTheSameForEver() {
        let key = IdempotencyKey(high: 1, low: 2)
        #expect(key.ofRest == IdempotencyKey(high: 0x706d_f4b7_6377_e70b, low: 0x3621_82e7_3cb2_2ef7))
    }
}
