import InvertedFileIndex
import Testing
import VectorMath

struct CoarseQuantizerTests {
    private func quantizer(listCount: Int, generator: inout SplitMix64, weights: [Float]? = nil) -> CoarseQuantizer {
        let raw = (0..<listCount).map { _ in Float.random(in: 0.1...2, using: &generator) }
        let total = raw.reduce(0, +)
        return CoarseQuantizer(
            dimension: 64,
            centroids: (0..<listCount * 64).map { _ in Int8.random(in: -127...127, using: &generator) },
            weights: weights ?? raw.map { $0 / total }
        )
    }

    private func scores(_ quantizer: CoarseQuantizer, _ generator: inout SplitMix64) -> [Int32] {
        quantizer.scores(rotated: (0..<64).map { _ in Float.random(in: -1...1, using: &generator) }[...])
    }

    /// Lists by falling score, lower list first among equals.
    private func order(_ scores: [Int32]) -> [UInt32] {
        scores.indices.sorted { scores[$0] != scores[$1] ? scores[$0] > scores[$1] : $0 < $1 }.map { UInt32($0) }
    }

    @Test(arguments: [1, 2, 3, 16, 100, 1024, 3000])
    func aCountTakesTheNearestLists(listCount: Int) {
        var generator = SplitMix64(seed: testSeed &+ UInt64(listCount))
        let quantizer = quantizer(listCount: listCount, generator: &generator)
        for _ in 0..<5 {
            let scores = scores(quantizer, &generator)
            let order = order(scores)
            for count in [1, 2, listCount / 2, listCount - 1, listCount, listCount + 1, 1_000_000] where count > 0 {
                var walk = quantizer.walkCountingLists(scores: scores)
                let lists = walk.next(until: Double(count))
                #expect(lists == order.prefix(count).sorted(), "seed \(testSeed), \(count) of \(listCount)")
                #expect(walk.visitedWeight == Double(lists.count))
            }
        }
    }

    @Test(arguments: [1, 2, 16, 100, 1024])
    func aShareTakesTheNearestListsThatAddUpToIt(listCount: Int) {
        var generator = SplitMix64(seed: testSeed &+ UInt64(listCount))
        let quantizer = quantizer(listCount: listCount, generator: &generator)
        for _ in 0..<5 {
            let scores = scores(quantizer, &generator)
            let order = order(scores)
            for share in [0, 1e-6, 0.01, 0.1, 0.5, 0.9, 0.999] {
                var walk = quantizer.walk(scores: scores)
                let lists = walk.next(until: share)
                #expect(lists == order.prefix(lists.count).sorted(), "not the nearest: seed \(testSeed), \(share)")
                let weights = order.prefix(lists.count).map { Double(quantizer.weights[Int($0)]) }
                #expect(!lists.isEmpty && weights.reduce(0, +) >= share - 1e-6)
                // Without the last one it would not be enough.
                #expect(lists.count == 1 || weights.dropLast().reduce(0, +) < share + 1e-6)
                #expect(abs(walk.visitedWeight - weights.reduce(0, +)) < 1e-6)
                #expect(abs(walk.totalWeight - 1) < 1e-4)
            }
        }
    }

    /// Weights come from a sample: a list that is empty there may hold faces now, and sums are rounded.
    @Test func aWalkWithoutAGoalTakesEveryListWhateverItsWeight() {
        var generator = SplitMix64(seed: testSeed)
        for listCount in [2, 16, 300] {
            for emptyLists in [1, listCount / 2] {
                var weights = [Float](repeating: 1 / Float(listCount - emptyLists), count: listCount)
                for list in 0..<emptyLists { weights[list] = 0 }
                let quantizer = quantizer(listCount: listCount, generator: &generator, weights: weights)
                for _ in 0..<20 {
                    var walk = quantizer.walk(scores: scores(quantizer, &generator))
                    let near = walk.next(until: 0.5)
                    let far = walk.next(until: .infinity)
                    #expect((near + far).sorted() == (0..<UInt32(listCount)).map { $0 }, "seed \(testSeed)")
                    #expect(walk.next(until: .infinity).isEmpty)
                }
            }
        }
    }

    @Test func equalScoresGoToTheLowerList() {
        let quantizer = CoarseQuantizer(
            dimension: 8,
            centroids: [Int8](repeating: 5, count: 8 * 40),
            weights: [Float](repeating: 0.025, count: 40)
        )
        let vector = [Float](repeating: 1, count: 8)
        #expect(quantizer.assign(rotated: vector, rowStride: 8) == [0])
        let scores = quantizer.scores(rotated: vector[...])
        var walk = quantizer.walkCountingLists(scores: scores)
        #expect(walk.next(until: 3) == [0, 1, 2])
        walk = quantizer.walk(scores: scores)
        #expect(walk.next(until: 0.1) == [0, 1, 2, 3])
        // A vector without direction.
        #expect(quantizer.assign(rotated: [Float](repeating: 0, count: 8), rowStride: 8) == [0])
    }

    /// Scores at both ends of 32 bits must not overflow.
    @Test func scoresFarApartAreOrdered() {
        let quantizer = CoarseQuantizer(
            dimension: 8,
            centroids: [Int8](repeating: 1, count: 8 * 4),
            weights: [Float](repeating: 0.25, count: 4)
        )
        let scores: [Int32] = [.min, .max, 0, .max - 1]
        var walk = quantizer.walkCountingLists(scores: scores)
        #expect(walk.next(until: 2) == [1, 3])
        #expect(walk.next(until: 3) == [2])
        #expect(walk.next(until: 4) == [0])
    }

    @Test func assignmentFollowsTheScores() {
        var generator = SplitMix64(seed: testSeed)
        let quantizer = quantizer(listCount: 50, generator: &generator)
        // Rows longer than the centroids: what follows is left out.
        let rows = (0..<20).flatMap { _ in (0..<80).map { _ in Float.random(in: -1...1, using: &generator) } }
        let lists = quantizer.assign(rotated: rows, rowStride: 80)
        #expect(lists.count == 20)
        for row in 0..<20 {
            let scores = quantizer.scores(rotated: rows[row * 80..<(row + 1) * 80])
            #expect(lists[row] == order(scores)[0])
        }
    }

    /// Buckets are a matter of speed: the portions are those of a plain sort, whatever the scores, weights and goals.
    @Test(arguments: [1, 2, 5, 64, 511, 512, 513, 1024, 4096])
    func portionsAreThoseOfAPlainSort(listCount: Int) {
        var generator = SplitMix64(seed: testSeed &+ UInt64(listCount))
        for spread: ClosedRange<Int32> in [0...0, 0...1, -300...300, -40_000...2_000_000, .min ... .max] {
            // Multiples of a power of two, so that their sums have one value in any order; some lists weigh nothing.
            let weights = (0..<listCount).map { _ in
                Float(max(0, Int.random(in: -30...127, using: &generator))) * 0x1p-20
            }
            let quantizer = quantizer(listCount: listCount, generator: &generator, weights: weights)
            let scores = (0..<listCount).map { _ in Int32.random(in: spread, using: &generator) }
            let total = weights.reduce(0) { $0 + Double($1) }
            for portionCount in [1, 2, 3, 10] {
                let goals = (0..<portionCount).map { _ in Double.random(in: 0...1, using: &generator) * total }.sorted()
                var walk = quantizer.walk(scores: scores)
                let taken = (goals + [.infinity]).map { walk.next(until: $0) }
                #expect(
                    taken == portions(scores, weights, goals: goals + [.infinity]),
                    "seed \(testSeed), goals \(goals), scores \(spread)"
                )
            }
        }
    }

    /// Lists in order of rank, until each goal is reached in turn; the first portion is not empty.
    private func portions(_ scores: [Int32], _ weights: [Float], goals: [Double]) -> [[UInt32]] {
        var rest = order(scores)[...]
        var (taken, isAtStart) = (0.0, true)
        return goals.map { goal in
            var portion: [UInt32] = []
            while isAtStart || taken < goal, let list = rest.popFirst() {
                portion.append(list)
                taken += Double(weights[Int(list)])
                isAtStart = false
            }
            return portion.sorted()
        }
    }
}
