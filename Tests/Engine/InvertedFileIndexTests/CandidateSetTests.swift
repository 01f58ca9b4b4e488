import InvertedFileIndex
import Testing
import VectorMath

struct CandidateSetTests {
    /// Estimates of which many are equal, and rows in any order.
    private static func offers(_ count: Int, seed: UInt64) -> [(estimate: Float, row: UInt32)] {
        var generator = SplitMix64(seed: seed)
        return (0..<UInt32(count)).shuffled(using: &generator).map { row in
            (Float(Int.random(in: -999...999, using: &generator)) / 1000, row)
        }
    }

    /// Best first, of equal estimates the lower row.
    private static func ranked(_ offers: [(estimate: Float, row: UInt32)]) -> [(estimate: Float, row: UInt32)] {
        offers.sorted { $0.estimate > $1.estimate || ($0.estimate == $1.estimate && $0.row < $1.row) }
    }

    /// Rows taken 32 at a time come as if all had been sorted, and not all keys are looked at for each 32.
    @Test func rowsComeInFallingOrderWithoutLookingAtAllEachTime() {
        let count = 24_192
        var set = CandidateSet(capacity: count)
        let offers = Self.offers(count, seed: testSeed)
        for offer in offers { set.insert(estimate: offer.estimate, row: offer.row) }
        let expected = Self.ranked(offers).map(\.row)
        let before = set.passedCount
        for first in stride(from: 0, to: count, by: 32) {
            #expect(set.takeNext(32) == expected[first..<min(count, first + 32)].sorted(), "seed \(testSeed)")
        }
        #expect(set.takeNext(32).isEmpty && set.takeNext(32).isEmpty)
        // Sorting aside, each of five selections passes its keys a few times.
        #expect(set.passedCount - before < 40 * count, "\(set.passedCount - before), seed \(testSeed)")
    }

    /// Whatever the room, and however the threshold rises meanwhile, the rows are those of looking at all each time.
    @Test(arguments: [1, 31, 32, 33, 100, 1000, 5000])
    func rowsAreThoseOfSelectingEachTime(capacity: Int) {
        var generator = SplitMix64(seed: testSeed &+ UInt64(capacity))
        for round in 0..<20 {
            var set = CandidateSet(capacity: capacity)
            for offer in Self.offers(3000, seed: testSeed &+ UInt64(round)) {
                set.insert(estimate: offer.estimate, row: offer.row)
            }
            _ = set.takeBest(round)
            var other = set
            while true {
                let count = Int.random(in: 1...40, using: &generator)
                let rows = set.takeNext(count)
                #expect(rows == other.takeBest(count), "seed \(testSeed), round \(round)")
                #expect(set.threshold == other.threshold)
                if rows.isEmpty { break }
                if round % 2 == 0 {
                    let least = Float.random(in: -2...0.9, using: &generator)
                    set.raiseThreshold(to: least)
                    other.raiseThreshold(to: least)
                }
            }
        }
    }
}
