import FaceModel
import PartitionEngine
import Testing
import VectorMath

/// What thresholds, numbers of matches and efforts owe each other, on random galleries with dead faces, filters and
/// faces in no list yet.
struct SearchPropertyTests {
    static let seeds = (0..<3).map { testSeed &+ 100 &+ $0 }

    /// A gallery of one seed; every face has a gate, and one in nine is dead.
    private struct Gallery {
        let fixture: PartitionFixture
        var source: FaceSource
        let embeddings: [[Float]]
        let living: [Int]
        /// `nil` lets all pass; a tenth and a half of the faces pass the others.
        let filters: [FaceFilter?] = [
            nil, FaceFilter(attributes: ["gate": "0"]), FaceFilter(attributes: ["side": "0"]),
        ]

        /// - Parameter candidateFloor: with as many as there are faces, codes decide nothing.
        init(seed: UInt64, candidateFloor: Int) throws {
            var options = PartitionOptions.small
            options.candidateFloor = candidateFloor
            fixture = try PartitionFixture(options: options)
            var source = FaceSource(dimension: 64, seed: seed)
            let count = Int.random(in: 600...1000, using: &source.generator)
            let people = (0..<count / 3).map { _ in source.embedding() }
            embeddings = (0..<count).map { _ in
                let person = people.randomElement(using: &source.generator)!
                return source.image(of: person, noise: Float.random(in: 0.3...1.2, using: &source.generator))
            }
            let dead = Set((0..<count).filter { _ in Int.random(in: 0..<9, using: &source.generator) == 0 })
            living = (0..<count).filter { !dead.contains($0) }
            let isSettledAgain = Bool.random(using: &source.generator)
            try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
            let settled = count - Int.random(in: 0..<120, using: &source.generator)
            self.source = source
            try enrol(0..<settled)
            try fixture.settle()
            try fixture.delete(dead.filter { $0 < settled }.map { FaceID($0) })
            if isSettledAgain { try fixture.settle() }
            try enrol(settled..<count)
            try fixture.delete(dead.filter { $0 >= settled }.map { FaceID($0) })
        }

        private func enrol(_ numbers: Range<Int>) throws {
            guard !numbers.isEmpty else { return }
            try fixture.enrol(numbers.map { FaceID($0) }, numbers.map { embeddings[$0] }) { id in
                let number = Int(id.low & 0xffff)
                return FaceMetadata(attributes: ["gate": "\(number % 10)", "side": "\(number % 2)"])
            }
        }

        mutating func probes(_ count: Int) -> [[Float]] {
            (0..<count).map { _ in
                let face = embeddings[living.randomElement(using: &source.generator)!]
                return source.mate(of: face, similarity: Float.random(in: 0.3...0.9, using: &source.generator))
            }
        }
    }

    /// Efforts that promise nothing of a share of the mates: a threshold only cuts what they find.
    @Test(arguments: seeds, [8, 2000])
    func aThresholdCutsAndDoesNothingElse(seed: UInt64, candidateFloor: Int) throws {
        var gallery = try Gallery(seed: seed, candidateFloor: candidateFloor)
        for effort in [SearchEffort.exact, .full, .lists(1), .lists(4), .lists(16)] {
            for filter in gallery.filters {
                let probes = gallery.probes(6)
                let limit = Int.random(in: 1...60, using: &gallery.source.generator)
                let all = try gallery.fixture.search(probes, limit: limit, effort: effort, filter: filter).matches
                for _ in 0..<4 {
                    let threshold = Float.random(in: -0.2...0.9, using: &gallery.source.generator)
                    let some = try gallery.fixture.search(
                        probes,
                        limit: limit,
                        threshold: threshold,
                        effort: effort,
                        filter: filter
                    )
                    #expect(
                        some.found == all.map { $0.filter { $0.similarity >= threshold }.map(Found.init) },
                        "seed \(seed), \(effort), k \(limit), threshold \(threshold)"
                    )
                }
            }
        }
    }

    /// As many matches as were asked for, if there are as many, and the best of them; no dead face, and none that does
    /// not pass, takes a place.
    @Test(arguments: seeds)
    func aSearchOfAllListsReturnsTheBestThereAre(seed: UInt64) throws {
        var gallery = try Gallery(seed: seed, candidateFloor: 2000)
        for (index, filter) in gallery.filters.enumerated() {
            let passing = gallery.living.filter { index == 0 || $0 % (index == 1 ? 10 : 2) == 0 }
            let probes = gallery.probes(4)
            let expected = probes.map { probe in
                passing.map { number in
                    (number, zip(probe, gallery.embeddings[number]).reduce(Float(0)) { $0 + $1.0 * $1.1 })
                }
            }
            for limit in [1, 7, passing.count - 1, passing.count, 1000] {
                for effort in [SearchEffort.exact, .full, .lists(16)] {
                    let answer = try gallery.fixture.search(probes, limit: limit, effort: effort, filter: filter)
                    for (matches, expected) in zip(answer.matches, expected) {
                        let comment: Comment = "seed \(seed), \(effort), k \(limit), filter \(index)"
                        #expect(matches.count == min(limit, passing.count), comment)
                        let numbers = Set(matches.map { Int($0.faceID.low & 0xffff) })
                        #expect(numbers.count == matches.count && numbers.isSubset(of: passing), comment)
                        // Embeddings are stored in float16.
                        let least = (matches.last?.similarity ?? 1) + 0.002
                        #expect(expected.allSatisfy { $0.1 < least || numbers.contains($0.0) }, comment)
                    }
                }
            }
        }
    }

    /// Of the lists that are visited, the best matches; more lists never give worse ones.
    @Test(arguments: seeds)
    func aSearchOfSomeListsReturnsTheBestOfThem(seed: UInt64) throws {
        var gallery = try Gallery(seed: seed, candidateFloor: 2000)
        for filter in gallery.filters {
            let probes = gallery.probes(4)
            var before = [[Found]](repeating: [], count: probes.count)
            for count in [1, 2, 5, 16] {
                func found(_ limit: Int) throws -> [[Found]] {
                    try gallery.fixture.search(probes, limit: limit, effort: .lists(count), filter: filter).found
                }
                let all = try found(1000)
                for limit in [1, 3, 20, 200] {
                    #expect(try found(limit) == all.map { Array($0.prefix(limit)) }, "seed \(seed), \(count) lists")
                }
                for (all, before) in zip(all, before) {
                    #expect(Set(before).isSubset(of: all), "seed \(seed), \(count) lists")
                }
                before = all
            }
        }
    }

    /// A recall is a promise about the mates at or above the threshold, whatever the threshold: of those that exact
    /// search ranks first, more than the target may be found and hardly fewer. What a higher threshold finds a lower
    /// one finds too, but for rows that codes give up, and nothing is found that exact search does not find.
    @Test(arguments: seeds, [0.8, 0.95])
    func aRecallIsKeptAtEveryThreshold(seed: UInt64, recall: Double) throws {
        var gallery = try Gallery(seed: seed, candidateFloor: 24)
        let probes = gallery.probes(150)
        for filter in gallery.filters {
            var above: [[Found]]?
            for threshold: Float in [0.75, 0.6, 0.5, 0.4] {
                func search(_ effort: SearchEffort) throws -> PartitionSearchAnswer {
                    try gallery.fixture.search(
                        probes,
                        limit: 20,
                        threshold: threshold,
                        effort: effort,
                        filter: filter
                    )
                }
                let comment: Comment = "seed \(seed), threshold \(threshold)"
                let exact = try search(.exact).found
                let found = try search(.recall(recall)).found
                let mated = exact.indices.filter { !exact[$0].isEmpty }
                let missed = mated.count { found[$0].first != exact[$0][0] }
                let expected = (1 - recall) * Double(mated.count)
                #expect(
                    Double(missed) <= expected + 4 * (expected * recall).squareRoot() + 1,
                    "\(comment): \(missed) of \(mated.count)"
                )
                for (found, exact) in zip(found, exact) where exact.count < 20 {
                    #expect(Set(found).isSubset(of: exact), comment)
                }
                if let above {
                    let lost = zip(above, found).reduce(0) { lost, pair in
                        lost + (pair.1.count < 20 ? Set(pair.0).subtracting(pair.1).count : 0)
                    }
                    let count = above.reduce(0) { $0 + $1.count }
                    #expect(lost <= 1 + count / 100, "\(comment): \(lost) of \(count)")
                }
                above = found
            }
        }
    }
}
