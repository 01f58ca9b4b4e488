import FaceModel
import InvertedFileIndex
import PartitionEngine
import Testing
import VectorMath

struct PartitionSearchTests {
    static let efforts: [SearchEffort] = [.exact, .full, .lists(3), .recall(0.9)]

    /// 700 faces in runs of several sizes, 20 dead among them, and 68 faces outside of any run.
    private func settled(
        precision: StoredPrecision = .float16,
        candidateFloor: Int = 256
    ) throws -> (PartitionFixture, [[Float]]) {
        var options = PartitionOptions.small
        options.candidateFloor = candidateFloor
        let fixture = try PartitionFixture(precision: precision, options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<700).map { _ in source.embedding() }
        try fixture.enrol((0..<700).map { FaceID($0) }, embeddings)
        try fixture.delete((100..<120).map { FaceID($0) })
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        try #require(fixture.partition.statistics().runCount > 0)
        return (fixture, embeddings)
    }

    private func codebook(points: [(Double, Double)]) throws -> [UInt8] {
        let points = points.map { RecallCalibration.Point(recall: $0.0, visitedShare: $0.1) }
        let curve = RecallCalibration.Curve(leastSimilarity: 0.3, points: points, probeCount: 8192)
        return try Codebook(bytes: FaceSource.codebook(dimension: 64)).with(.init(curves: [curve])).encoded()
    }

    /// A target visits more than it must where that spares candidates: both, or the promise is not kept.
    @Test func visitsThatSpareCandidatesAreMade() throws {
        func search(secondShare: Double) throws -> PartitionSearchAnswer {
            var options = PartitionOptions.small
            (options.candidateFloor, options.candidatesPerMatch) = (50, 0)
            options.candidateRowCount = 3000 / 36
            let fixture = try PartitionFixture(options: options)
            var source = FaceSource(dimension: 64)
            try fixture.enrol((0..<3000).map { FaceID($0) }, (0..<3000).map { _ in source.embedding() })
            try fixture.partition.install(codebook: codebook(points: [(0.9025, 0.5), (0.9325, secondShare), (1, 1)]))
            try fixture.settle()
            return try fixture.search((0..<20).map { _ in source.embedding() }, limit: 100, effort: .recall(0.9))
        }
        let (ample, strict) = (try search(secondShare: 0.65), try search(secondShare: 0.8))
        #expect(ample.rowsVisited > strict.rowsVisited + strict.rowsVisited / 5)
        #expect(ample.rowsReranked < strict.rowsReranked)
    }

    /// Few lists need fewer candidates, from half of the lists on as many as all.
    @Test func fewListsKeepFewerCandidates() throws {
        var options = PartitionOptions.small
        (options.candidateFloor, options.candidatesPerMatch) = (10, 0)
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<3000).map { FaceID($0) }, (0..<3000).map { _ in source.embedding() })
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        let probes = (0..<20).map { _ in source.embedding() }
        let compared = try [.lists(4), .lists(6), .lists(8), .full].map { effort in
            try fixture.search(probes, limit: 5, effort: effort).rowsReranked
        }
        // Half as many of a quarter, but for what comes between two comparisons.
        #expect(compared[0] < compared[1] && compared[1] < compared[2], "\(compared)")
        #expect(3 * compared[0] < 2 * compared[2] && 3 * compared[0] < 2 * compared[3], "\(compared)")
    }

    /// Candidates grow with the collection for `recall`, half as much where the target is below the tabulated one that
    /// the visits are for; other efforts keep as many as they did.
    @Test func aTargetThatOwesLessComparesFewerRows() throws {
        // Lists pay so much that none is visited to spare candidates.
        let codebook = try codebook(points: [(0.8525, 0.2), (0.9025, 0.5), (0.9525, 0.9), (1, 1)])
        func reranked(_ rowCount: Double) throws -> [UInt64] {
            var options = PartitionOptions.small
            (options.candidateFloor, options.candidatesPerMatch) = (50, 0)
            options.candidateRowCount = rowCount
            let fixture = try PartitionFixture(options: options)
            var source = FaceSource(dimension: 64)
            try fixture.enrol((0..<3000).map { FaceID($0) }, (0..<3000).map { _ in source.embedding() })
            try fixture.partition.install(codebook: codebook)
            try fixture.settle()
            let probes = (0..<20).map { _ in source.embedding() }
            return try [.recall(0.875), .recall(0.9), .lists(16), .full].map { effort in
                try fixture.search(probes, limit: 100, effort: effort).rowsReranked
            }
        }
        let (small, large) = (try reranked(3000), try reranked(3000 / 36))
        // Six times as many at most, and three.
        #expect(large[0] < large[1], "\(large)")
        #expect(small[1] < large[1] && small[0] < large[0], "\(small), \(large)")
        #expect(small[2...] == large[2...])
    }

    /// Rounding to float16 makes some rows a little longer: their product with the opposite probe is below -1, and told
    /// as -1, the least threshold there is.
    @Test func aThresholdOfMinusOneLeavesNobodyOut() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        var face = source.embedding()
        while face.reduce(0, { $0 + $1 * Float(Float16($1)) }) <= 1.00001 { face = source.embedding() }
        let others = (1..<300).map { _ in source.embedding() }
        try fixture.enrol((0..<300).map { FaceID($0) }, [face] + others)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        let probe = face.map { -$0 }
        for effort in [SearchEffort.exact, .full] {
            let all = try fixture.search([probe], limit: 300, effort: effort).found
            #expect(all[0].count == 300 && all[0].last == Found(FaceID(0), -1), "seed \(testSeed)")
            #expect(try fixture.search([probe], limit: 300, threshold: -1, effort: effort).found == all)
        }
    }

    @Test(arguments: efforts)
    func anEmptyPartitionHasNoMatches(effort: SearchEffort) throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        let answer = try fixture.search([source.embedding(), source.embedding()], limit: 1000, effort: effort)
        #expect(answer.found == [[], []])
        #expect(answer.faceCount == 0 && answer.facesAnswered == 0)
    }

    @Test(arguments: efforts)
    func noProbesHaveNoAnswers(effort: SearchEffort) throws {
        let (fixture, _) = try settled()
        let answer = try fixture.search([], effort: effort)
        #expect(answer.matches.isEmpty)
        #expect(answer.rowsVisited == 0 && answer.listsVisited == 0)
        #expect(answer.facesAnswered == 680)
    }

    @Test(arguments: efforts)
    func aFaceIsFoundByItsOwnEmbeddingFirst(effort: SearchEffort) throws {
        let (fixture, embeddings) = try settled()
        for number in [0, 99, 120, 400, 699] {
            let found = try fixture.search([embeddings[number]], limit: 1, effort: effort).matches[0]
            #expect(found.map(\.faceID) == [FaceID(number)])
            #expect(found[0].similarity > 0.999 && found[0].similarity <= 1)
        }
    }

    @Test func moreMatchesThanFacesAreAllFaces() throws {
        let (fixture, embeddings) = try settled()
        for effort in [SearchEffort.exact, .full, .lists(16)] {
            let answer = try fixture.search([embeddings[0]], limit: 1000, effort: effort)
            #expect(Set(answer.matches[0].map(\.faceID)).count == 680, "\(effort)")
        }
    }

    @Test(arguments: efforts)
    func theExcludedFaceIsNotFoundAndTheNextTakesItsPlace(effort: SearchEffort) throws {
        let (fixture, embeddings) = try settled()
        for number in [0, 300, 690] {
            let all = try fixture.search([embeddings[number]], limit: 6, effort: effort).found[0]
            let others = try fixture.search(
                [embeddings[number]],
                limit: 5,
                effort: effort,
                excluding: FaceID(number)
            ).found[0]
            #expect(others == Array(all.dropFirst()))
            let unknown = try fixture.search(
                [embeddings[number]],
                limit: 6,
                effort: effort,
                excluding: FaceID(5000)
            ).found[0]
            #expect(unknown == all)
        }
    }

    /// A partition of a tenth of its collection compares fewer candidates, and still has all the matches wanted.
    @Test(arguments: [SearchEffort.full, .recall(0.9)])
    func aSmallPartOfACollectionComparesFewerCandidates(effort: SearchEffort) throws {
        let (fixture, embeddings) = try settled(candidateFloor: 100)
        let whole = try fixture.search([embeddings[5]], limit: 5, effort: effort)
        let part = try fixture.search([embeddings[5]], limit: 5, effort: effort, collectionShare: 0.1)
        #expect(part.rowsReranked < whole.rowsReranked)
        #expect(part.rowsVisited == whole.rowsVisited)
        #expect(part.found[0].count == 5 && part.found[0][0] == whole.found[0][0])
    }

    @Test(arguments: [SearchEffort.exact, .full, .lists(3)])
    func aHigherThresholdKeepsTheBestOfTheSameMatches(effort: SearchEffort) throws {
        let (fixture, _) = try settled(candidateFloor: 20)
        var source = FaceSource(dimension: 64, seed: testSeed &+ 1)
        let probes = (0..<8).map { _ in source.embedding() }
        let all = try fixture.search(probes, limit: 40, effort: effort).matches
        for threshold: Float in [-1, 0, 0.1, 0.2, 0.3, 0.5, 1] {
            let some = try fixture.search(probes, limit: 40, threshold: threshold, effort: effort).found
            #expect(
                some == all.map { $0.filter { $0.similarity >= threshold }.map(Found.init) },
                "seed \(testSeed), \(threshold)"
            )
        }
    }

    /// A recall is a promise about mates at or above the threshold: a lower one visits more, so that what a higher one
    /// finds is found, but for rows that codes give up.
    @Test func aLowerThresholdOfARecallFindsWhatAHigherOneDoes() throws {
        let (fixture, _) = try settled(candidateFloor: 20)
        var source = FaceSource(dimension: 64, seed: testSeed &+ 1)
        let probes = (0..<40).map { _ in source.embedding() }
        var visitedBefore = UInt64.max
        var foundBefore: [[Found]]?
        var (count, lost) = (0, 0)
        for threshold: Float in [-1, 0.3, 0.4, 0.5, 0.6, 0.8] {
            let answer = try fixture.search(probes, limit: 40, threshold: threshold, effort: .recall(0.9))
            #expect(answer.rowsVisited <= visitedBefore, "\(threshold)")
            #expect(answer.matches.allSatisfy { $0.allSatisfy { $0.similarity >= threshold } })
            for (found, before) in zip(answer.found, foundBefore ?? answer.found) {
                count += found.count
                lost += Set(found).subtracting(before).count
            }
            (visitedBefore, foundBefore) = (answer.rowsVisited, answer.found)
        }
        #expect(lost <= count / 100, "seed \(testSeed): \(lost) of \(count)")
        #expect(visitedBefore < 40 * 680)
    }

    /// With one match wanted, a face that is found ends the visits that could only find worse ones.
    @Test func aGoodMatchMakesASearchShorter() throws {
        let (fixture, embeddings) = try settled()
        let numbers = Array(120..<500)
        let probes = numbers.map { embeddings[$0] }
        let one = try fixture.search(probes, limit: 1, effort: .recall(0.9))
        let many = try fixture.search(probes, limit: 100, effort: .recall(0.9))
        #expect(one.matches.map { $0[0].faceID } == numbers.map { FaceID($0) })
        #expect(one.rowsVisited < many.rowsVisited)
    }

    @Test(arguments: efforts)
    func aThresholdIsMetByEquality(effort: SearchEffort) throws {
        let (fixture, embeddings) = try settled()
        let best = try fixture.search([embeddings[5]], limit: 4, effort: effort).matches[0]
        func found(from threshold: Float) throws -> [Found] {
            let found = try fixture.search([embeddings[5]], limit: 40, threshold: threshold, effort: effort).found[0]
            guard case .recall = effort else { return found }
            // A threshold below the usual one has more visited, where there may be more matches.
            return found.filter { best.map(Found.init).contains($0) }
        }
        #expect(try found(from: best[2].similarity) == best.prefix(3).map(Found.init))
        #expect(try found(from: best[2].similarity.nextUp) == best.prefix(2).map(Found.init))
    }

    /// 900 copies of one embedding, more than any room kept at first, enrolled in another order than that of their ids.
    @Test(arguments: [SearchEffort.exact, .full, .lists(1), .recall(0.5)])
    func equalSimilaritiesAreRankedByFaceID(effort: SearchEffort) throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embedding = source.embedding()
        let numbers = Array(0..<900).shuffled(using: &source.generator)
        try fixture.enrol(numbers.map { FaceID($0) }, [[Float]](repeating: embedding, count: 900))
        try fixture.enrol((1000..<1150).map { FaceID($0) }, (0..<150).map { _ in source.embedding() })
        try fixture.delete([FaceID(0), FaceID(2)])
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        for _ in 0..<2 {
            for limit in [1, 5, 300, 1000] {
                let matches = try fixture.search([embedding], limit: limit, effort: effort).matches[0]
                let expected = ([1] + Array(3..<900)).prefix(limit).map { FaceID($0) }
                #expect(Array(matches.map(\.faceID).prefix(898)) == expected, "limit \(limit)")
            }
            try fixture.settle()
        }
    }

    /// 1024 copies of one embedding have no room at first, nor at second and third: whenever a stop comes, what was
    /// found by then is answered, and that it is all only when face ids have ranked it. Each of four searches asks 8
    /// times, and looking up 1024 faces takes 32 questions.
    @Test(arguments: [1, 3])
    func equalFacesThatHadNoRoomAreNotLostByAStop(threadCount: Int) throws {
        var options = PartitionOptions.small
        options.leastPartWork = 1
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embedding = source.embedding()
        let numbers = Array(0..<1024).shuffled(using: &source.generator)
        try fixture.enrol(numbers.map { FaceID($0) }, [[Float]](repeating: embedding, count: 1024))
        let busy = SearchTeam(memberLimit: threadCount) { _ in false }
        for limit in 0..<70 {
            var asked = 0
            let answer = try fixture.search([embedding], limit: 5, team: busy) {
                asked += 1
                return asked > limit
            }
            let similarities = Set(answer.matches[0].map(\.similarity))
            #expect(answer.matches[0].count == (limit == 0 ? 0 : 5) && similarities.count <= 1, "\(limit)")
            #expect(answer.facesAnswered == (limit < 8 ? UInt64(128 * limit) : limit < 64 ? 1023 : 1024), "\(limit)")
            if limit >= 64 { #expect(answer.matches[0].map(\.faceID) == (0..<5).map { FaceID($0) }) }
        }
    }

    /// However many probes meet however many equal faces, what is kept for them at a time is bounded, and the answers
    /// are those of searches of their own.
    @Test(arguments: [1, 3])
    func probesWithManyEqualMatchesAreSearchedForInGroups(threadCount: Int) throws {
        var options = PartitionOptions.small
        options.leastPartWork = 1
        options.roomForEquals = 200
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<3).map { _ in source.embedding() }
        let numbers = Array(0..<900).shuffled(using: &source.generator)
        try fixture.enrol(numbers.map { FaceID($0) }, numbers.map { embeddings[$0 % 3] })
        let probes = (0..<12).map { embeddings[$0 % 3] }
        let busy = SearchTeam(memberLimit: threadCount) { _ in false }
        let answer = try fixture.search(probes, limit: 5, team: busy)
        for (index, matches) in answer.matches.enumerated() {
            #expect(matches.map(\.faceID) == (0..<5).map { FaceID(3 * $0 + index % 3) })
        }
        #expect(answer.facesAnswered == 900)
    }

    /// However many faces are equal, what stays of a probe's rows is about as much as it has matches, and a stop among
    /// the look-ups of their faces ends them.
    @Test(arguments: [1, 3])
    func whatIsKeptForManyEqualFacesIsBounded(threadCount: Int) throws {
        var options = PartitionOptions.small
        options.leastPartWork = 1
        options.roomForEquals = 200
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embedding = source.embedding()
        let numbers = Array(0..<4000).shuffled(using: &source.generator)
        try fixture.enrol(numbers.map { FaceID($0) }, [[Float]](repeating: embedding, count: 4000))
        let probes = [[Float]](repeating: embedding, count: 16)
        let busy = SearchTeam(memberLimit: threadCount) { _ in false }
        var questions = 0
        let whole = try fixture.search(probes, limit: 5, team: busy) {
            questions += 1
            return false
        }
        #expect(whole.rowsKept == 16 * 5 && whole.facesAnswered == 4000)
        for matches in whole.matches { #expect(matches.map(\.faceID) == (0..<5).map { FaceID($0) }) }
        // 125 questions of each probe come last, between the look-ups of its faces.
        for left in [1, 100, 1000] {
            var asked = 0
            let stopped = try fixture.search(probes, limit: 5, team: busy) {
                asked += 1
                return asked > questions - left
            }
            #expect(stopped.rowsKept <= 16 * (5 + 16) && stopped.facesAnswered == 3999, "\(left)")
            #expect(stopped.matches.allSatisfy { $0.count == 5 && $0.allSatisfy { $0.similarity > 0.99 } })
            if left <= 100 { #expect(asked == questions - left + 1, "\(left)") }
        }
    }

    /// Of the probes of a photo those alone are searched for again whose matches may have lacked an equal one.
    @Test(arguments: [1, 3])
    func onlyProbesWithEqualMatchesAreSearchedForAgain(threadCount: Int) throws {
        var options = PartitionOptions.small
        options.leastPartWork = 1
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embedding = source.embedding()
        let others = (0..<512).map { _ in source.embedding() }
        let numbers = Array(0..<512).shuffled(using: &source.generator)
        try fixture.enrol(numbers.map { FaceID($0) }, [[Float]](repeating: embedding, count: 512))
        try fixture.enrol((512..<1024).map { FaceID($0) }, others)
        // Far from all of the copies.
        let far = (0..<9).map { _ in source.image(of: embedding.map { -$0 }, noise: 0.5) }
        let probes = Array(far[..<4]) + [embedding] + Array(far[4...])
        let busy = SearchTeam(memberLimit: threadCount) { _ in false }
        let answer = try fixture.search(probes, limit: 5, team: busy)
        #expect(answer.matches[4].map(\.faceID) == (0..<5).map { FaceID($0) })
        // Room for 21, and then for 84, 336 and 1344.
        #expect(answer.rowsVisited == (10 + 3) * 1024)
        #expect(answer.facesAnswered == 1024)
        for (probe, found) in zip(probes, answer.found) {
            #expect(try fixture.search([probe], limit: 5).found == [found])
        }
    }

    @Test func fewLivingFacesAmongManyDeadAreAllFound() throws {
        var options = PartitionOptions.small
        // Dead rows stay in their runs, so that the scan meets them.
        options.compactionDeadShare = 2
        options.mergeRatio = 0
        options.candidateFloor = 10
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let person = source.embedding()
        let ids = (0..<1024).map { FaceID($0) }
        try fixture.enrol(ids, ids.map { _ in source.image(of: person, noise: 0.4) }) { id in
            FaceMetadata(expires: id.low % 3 == 0 ? Timestamp(milliseconds: 500) : nil)
        }
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        // One in 20 lives on, and a third of those expires.
        try fixture.delete(ids.filter { $0.low % 20 != 0 })
        #expect(try fixture.partition.statistics().tombstoneCount > 900)
        let living = ids.filter { $0.low % 20 == 0 }
        let unexpired = living.filter { $0.low % 3 != 0 }
        for (moment, expected) in [(499, living), (500, unexpired), (501, unexpired)] as [(Int64, [FaceID])] {
            for effort in [SearchEffort.exact, .full, .lists(16)] {
                let found = try fixture.search(
                    [person],
                    limit: 60,
                    effort: effort,
                    now: Timestamp(milliseconds: moment)
                ).matches[0]
                #expect(found.map(\.faceID).sorted() == expected, "\(effort) at \(moment)")
            }
        }
    }

    @Test func aStoppedSearchSaysHowMuchItSaw() throws {
        let (fixture, embeddings) = try settled()
        for effort in Self.efforts {
            for limit in 0..<40 {
                var asked = 0
                let answer = try fixture.partition.search(
                    PartitionSearch(
                        parameters: SearchParameters(matchLimit: 3, effort: effort),
                        excludedFace: nil,
                        probes: EmbeddingMatrix(dimension: 64, values: embeddings[0] + embeddings[1]),
                        now: Timestamp(milliseconds: 0)
                    ),
                    shouldStop: {
                        asked += 1
                        return asked > limit
                    }
                )
                #expect(answer.faceCount == 680)
                #expect(answer.facesAnswered <= answer.faceCount)
                #expect((answer.facesAnswered < answer.faceCount) == (asked > limit), "\(effort), \(limit)")
            }
        }
    }

    /// Searches share what they have read of an unfinished chunk, which grows, fills and gives way to the next.
    @Test(arguments: StoredPrecision.allCases)
    func everyFaceOfAGrowingPartitionIsFound(precision: StoredPrecision) throws {
        let fixture = try PartitionFixture(dimension: 72, precision: precision)
        var source = FaceSource(dimension: 72)
        let embeddings = (0..<300).map { _ in source.embedding() }
        let probes = Array(embeddings[295...])
        for first in stride(from: 0, to: 295, by: 5) {
            try fixture.enrol((first..<first + 5).map { FaceID($0) }, Array(embeddings[first..<first + 5]))
            if first % 50 == 45 { try fixture.delete([FaceID(first)]) }
            let answer = try fixture.search(probes, limit: 400)
            // What was read before decides nothing.
            if first % 40 == 0 { try fixture.reopen() }
            #expect(try fixture.search(probes, limit: 400).found == answer.found)
            let living = (0..<first + 5).filter { $0 % 50 != 45 }.map { FaceID($0) }
            for found in answer.found { #expect(found.map(\.face).sorted() == living) }
            for number in [first, first + 4] where number % 50 != 45 {
                #expect(try fixture.search([embeddings[number]], limit: 1).matches[0].map(\.faceID) == [FaceID(number)])
            }
        }
    }

    @Test(arguments: StoredPrecision.allCases)
    func similarityOfAFaceIsTheSameBitsWhateverTheEffort(precision: StoredPrecision) throws {
        let (fixture, _) = try settled(precision: precision, candidateFloor: 700)
        var source = FaceSource(dimension: 64, seed: testSeed &+ 2)
        let probes = (0..<20).map { _ in source.embedding() }
        let exact = try fixture.search(probes, limit: 1000).found
        #expect(try fixture.search(probes, limit: 1000, effort: .full).found == exact)
        // One probe at a time takes the same order of summation as many.
        for (probe, expected) in zip(probes, exact) {
            #expect(try fixture.search([probe], limit: 1000).found == [expected])
        }
        let some = try fixture.search(probes, limit: 50, effort: .lists(2)).found
        for (found, expected) in zip(some, exact) { #expect(Set(found).isSubset(of: expected)) }
    }
}

/// Serialized: the kernel level is process-wide. Levels give the same bits, so other tests do not notice.
@Suite(.serialized)
struct KernelLevelTests {
    @Test(arguments: [(64, StoredPrecision.float16), (72, .float32), (512, .float16), (520, .float32)])
    func everyKernelLevelGivesTheSameAnswers(dimension: Int, precision: StoredPrecision) throws {
        let best = VectorKernels.level
        defer { VectorKernels.setLevel(best) }
        var answers: [[[Found]]] = []
        for level in KernelLevel.allCases where VectorKernels.setLevel(level) == level {
            // Coded on this level as well, with a codebook of one level.
            let fixture = try PartitionFixture(dimension: dimension, precision: precision)
            var source = FaceSource(dimension: dimension)
            let ids = (0..<400).map { FaceID($0) }
            try fixture.enrol(ids, ids.map { _ in source.embedding() })
            VectorKernels.setLevel(best)
            let codebook = try FaceSource.codebook(dimension: dimension)
            VectorKernels.setLevel(level)
            try fixture.partition.install(codebook: codebook)
            try fixture.settle()
            let probes = (0..<5).map { _ in source.embedding() }
            var answer: [[Found]] = []
            for effort in [SearchEffort.exact, .full, .lists(2), .recall(0.8)] {
                answer += try fixture.search(probes, limit: 7, effort: effort).found
            }
            answers.append(answer)
        }
        #expect(!answers.isEmpty)
        #expect(answers.allSatisfy { $0 == answers[0] })
    }
}
