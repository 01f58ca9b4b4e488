import PartitionEngine
import Testing
import VectorMath

struct RowSetTests {
    @Test func aSetHoldsWhatWasInsertedAndNotRemoved() {
        var generator = SplitMix64(seed: testSeed)
        // Some rows near each other, some far apart, and those at the ends of pieces.
        let rows: [UInt32] =
            (0..<300).map { _ in UInt32.random(in: 0..<500, using: &generator) }
            + (0..<300).map { _ in UInt32.random(in: 0..<10_000_000, using: &generator) }
            + [0, 63, 64, 32_767, 32_768, 65_535, 65_536]
        var set: RowSet = []
        var expected: Set<UInt32> = []
        #expect(set.isEmpty && !set.contains(0) && !set.contains(.max))
        for step in 0..<4000 {
            let row = rows.randomElement(using: &generator)!
            let copy = set
            if step % 3 == 2 {
                set.remove(row)
                expected.remove(row)
            } else {
                set.insert(row)
                expected.insert(row)
            }
            // A copy does not follow.
            #expect(copy.contains(row) == (set.contains(row) ? copy.count == set.count : copy.count > set.count))
        }
        #expect(set.count == expected.count && set.isEmpty == expected.isEmpty)
        for row in rows { #expect(set.contains(row) == expected.contains(row), "seed \(testSeed), row \(row)") }
        for row in rows { set.remove(row) }
        #expect(set.isEmpty && rows.allSatisfy { !set.contains($0) })
    }

    @Test func roomIsTakenByPieces() {
        var set: RowSet = []
        #expect(set.byteCount == 0)
        set.insert(3_276_800)
        // A piece of 32 768 bits, and a word for each of 101.
        #expect(set.byteCount == 4096 + 8 * 101)
        let literal: RowSet = [7, 9, 7]
        #expect(literal.count == 2 && literal.contains(7) && literal.contains(9) && !literal.contains(8))
    }
}
