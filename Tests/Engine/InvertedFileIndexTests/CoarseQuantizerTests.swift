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
        quantizer.scores(rotated: (0..<64).map { _ in Float.random(in: -1...1, using: &generator) })
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
                let lists = quantizer.selectLists(scores: scores, count: count).allLists
                #expect(lists.count == Set(lists).count)
                #expect(Set(lists) == Set(order.prefix(count)), "seed \(testSeed), \(count) of \(listCount)")
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
                let lists = Set(quantizer.selectLists(scores: scores, share: share).allLists)
                #expect(lists == Set(order.prefix(lists.count)), "not the nearest: seed \(testSeed), \(share)")
                let weights = order.prefix(lists.count).map { Double(quantizer.weights[Int($0)]) }
                #expect(!lists.isEmpty && weights.reduce(0, +) >= share - 1e-6)
                // Without the last one it would not be enough.
                #expect(lists.count == 1 || weights.dropLast().reduce(0, +) < share)
            }
        }
    }

    /// Weights come from a sample: a list that is empty there may hold faces now, and sums are rounded.
    @Test func theWholeShareIsEveryListWhateverItsWeight() {
        var generator = SplitMix64(seed: testSeed)
        for listCount in [2, 16, 300] {
            for emptyLists in [1, listCount / 2] {
                var weights = [Float](repeating: 1 / Float(listCount - emptyLists), count: listCount)
                for list in 0..<emptyLists { weights[list] = 0 }
                let quantizer = quantizer(listCount: listCount, generator: &generator, weights: weights)
                for _ in 0..<20 {
                    let lists = quantizer.selectLists(scores: scores(quantizer, &generator), share: 1).allLists
                    #expect(Set(lists).count == listCount, "seed \(testSeed)")
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
        let scores = quantizer.scores(rotated: vector)
        #expect(quantizer.selectLists(scores: scores, count: 3).allLists.sorted() == [0, 1, 2])
        #expect(quantizer.selectLists(scores: scores, share: 0.1).allLists.sorted() == [0, 1, 2, 3])
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
        #expect(quantizer.selectLists(scores: scores, count: 2).allLists.sorted() == [1, 3])
        #expect(quantizer.selectLists(scores: scores, count: 3).allLists.sorted() == [1, 2, 3])
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

    /// Buckets are a matter of speed: the rounds are those of a plain sort, whatever the scores and weights.
    @Test(arguments: [1, 2, 5, 64, 511, 512, 513, 1024, 4096])
    func roundsAreThoseOfAPlainSort(listCount: Int) {
        var generator = SplitMix64(seed: testSeed &+ UInt64(listCount))
        for spread: ClosedRange<Int32> in [0...0, 0...1, -300...300, -40_000...2_000_000, .min ... .max] {
            // Multiples of a power of two, so that their sums have one value in any order; some lists weigh nothing.
            let weights = (0..<listCount).map { _ in
                Float(max(0, Int.random(in: -30...127, using: &generator))) * 0x1p-20
            }
            let quantizer = quantizer(listCount: listCount, generator: &generator, weights: weights)
            let scores = (0..<listCount).map { _ in Int32.random(in: spread, using: &generator) }
            for share in [0, 1e-5, 0.001, 0.01, 0.05, 0.1, 1] {
                #expect(
                    quantizer.selectLists(scores: scores, share: share).rounds
                        == rounds(scores, weights, budget: share == 1 ? .infinity : share, total: share),
                    "seed \(testSeed), share \(share), scores \(spread)"
                )
            }
            for count in [1, 2, listCount / 3, listCount - 1, listCount] where count > 0 {
                #expect(
                    quantizer.selectLists(scores: scores, count: count).rounds
                        == rounds(
                            scores,
                            [Float](repeating: 1, count: listCount),
                            budget: count == listCount ? .infinity : Double(count),
                            total: Double(count)
                        ),
                    "seed \(testSeed), \(count) of \(listCount), scores \(spread)"
                )
            }
        }
    }

    /// Lists in order of rank, until the round's goal is reached, then the next round's; no round stays empty before a
    /// list has weight.
    private func rounds(_ scores: [Int32], _ weights: [Float], budget: Double, total: Double) -> [[UInt32]] {
        let goals = [0.03 * total, 0.15 * total, budget - 1e-9]
        var rounds: [[UInt32]] = [[], [], []]
        var (round, taken) = (0, 0.0)
        for list in order(scores) {
            while taken >= goals[round], !rounds[round].isEmpty || taken > 0 {
                if round == 2 { return rounds.filter { !$0.isEmpty }.map { $0.sorted() } }
                round += 1
            }
            rounds[round].append(list)
            taken += Double(weights[Int(list)])
        }
        return rounds.filter { !$0.isEmpty }.map { $0.sorted() }
    }

    /// Rounds take the nearest lists first, each in the order of storage.
    @Test(arguments: [1, 2, 7, 100, 1024])
    func roundsGoFromNearToFar(listCount: Int) {
        var generator = SplitMix64(seed: testSeed &+ UInt64(listCount))
        let quantizer = quantizer(listCount: listCount, generator: &generator)
        let scores = scores(quantizer, &generator)
        for share in [0.01, 0.3, 0.9, 1] {
            let rounds = quantizer.selectLists(scores: scores, share: share).rounds
            #expect((1...3).contains(rounds.count))
            #expect(rounds.allSatisfy { !$0.isEmpty && $0 == $0.sorted() })
            let order = order(scores)
            var taken = 0
            for round in rounds {
                #expect(Set(round) == Set(order[taken..<taken + round.count]), "seed \(testSeed)")
                taken += round.count
            }
            // The first of three rounds is a small part of the selection's weight.
            if rounds.count == 3 {
                let weight = rounds[0].dropLast().reduce(0) { $0 + Double(quantizer.weights[Int($1)]) }
                #expect(weight <= 0.03 * share + 1e-6)
            }
        }
    }
}

extension ListSelection {
    var allLists: [UInt32] { rounds.flatMap { $0 } }
}
