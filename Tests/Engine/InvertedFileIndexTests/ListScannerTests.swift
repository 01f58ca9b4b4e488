import FaceModel
import InvertedFileIndex
import Testing
import VectorMath

struct ListScannerTests {
    /// Rows, their codebook and lists, made once.
    private struct Gallery: Sendable {
        let codebook: Codebook
        let rows: EmbeddingMatrix
        let batch: CodeBatch
        /// Per row: its factor times what its code stands for, by the definition of the codes.
        private let reconstructions: [[Float]]

        init(_ source: inout SpectrumSample, rowCount: Int, sampleCount: Int = 2048) throws {
            let sample = source.rows(sampleCount)
            codebook = try CodebookTrainer.train(
                sample: sample,
                generation: 1,
                listCount: 24,
                seed: 1,
                shouldStop: { false }
            )
            rows = source.rows(rowCount)
            batch = codebook.encode(embeddings: rows.values)
            let (codebook, coded) = (codebook, codebook.plan.codedDimension)
            let rotated = codebook.rotate(embeddings: rows.values)
            let bits = (0..<coded).map { component in
                codebook.plan.planes.first { $0.segment == component / CodePlane.dimension }?.bits ?? 0
            }
            reconstructions = (0..<rowCount).map { row in
                let y = rotated[row * coded..<(row + 1) * coded]
                let levels = y.enumerated().map { index, value -> Float in
                    guard bits[index] > 0 else { return 0 }
                    let unit = [0, 1.596, 0.9957, 0.586, 0.3352][bits[index]] * codebook.scale[index]
                    let half = Float(1 << (bits[index] - 1))
                    return (min(max((value / unit).rounded(.down), -half), half - 1) + 0.5) * unit
                }
                let codedPart = zip(y, bits).map { $1 > 0 ? $0 : 0 }
                let factor = SpectrumSample.dot(codedPart, codedPart) / SpectrumSample.dot(y, levels)
                return levels.map { factor * $0 }
            }
        }

        /// Scans as if every row were of use; per probe the rows that were compared, ascending.
        func scan(
            _ probes: [Float],
            _ lists: MemoryLists,
            limit: Int,
            listCount: Int = 24
        ) -> (outcome: ListScanner.Outcome, compared: [[UInt32]]) {
            let prepared = PreparedProbes(probes: probes, codebook: codebook)
            var compared = [[UInt32]](repeating: [], count: prepared.probeCount)
            let outcome = ListScanner(codebook: codebook, tolerance: CodeTolerance(missRate: 0.01)).scan(
                probes: prepared,
                plan: .lists(listCount, of: prepared),
                lists: lists,
                comparisonCount: 17,
                candidateLimit: limit,
                shouldStop: { false },
                comparing: { probe, rows in
                    compared[probe] += rows
                    return -.infinity
                }
            )
            return (outcome, compared.map { $0.sorted() })
        }

        /// The estimate of every row.
        func estimates(_ probe: [Float]) -> [Float] {
            let rotated = codebook.rotate(probes: probe)
            let offset = SpectrumSample.dot(probe, codebook.mean)
            return reconstructions.map { offset + SpectrumSample.dot(rotated, $0) }
        }
    }

    private static let small = Result {
        var source = SpectrumSample.heavyTailed(dimension: 128, mean: 0.05)
        return try Gallery(&source, rowCount: 1500)
    }

    @Test(arguments: [1, 7])
    func aFullScanOffersEveryRow(probeCount: Int) throws {
        let gallery = try Self.small.get()
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 1)
        let probes = (0..<probeCount).flatMap { _ in source.vector() }
        for blockGroups in [1, 3, 64] {
            let lists = MemoryLists(gallery.batch, codebook: gallery.codebook, blockGroups: blockGroups)
            let (outcome, compared) = gallery.scan(probes, lists, limit: 1500)
            #expect(outcome.rowsVisited == UInt64(probeCount * 1500) && outcome.completedShare == 1)
            #expect(outcome.listsVisited == UInt64(probeCount * 24))
            #expect(outcome.rowsReranked == UInt64(probeCount * 1500))
            for probe in 0..<probeCount { #expect(compared[probe] == (0..<1500).map { UInt32($0) }) }
        }
    }

    /// The best rows by the definition of the codes are compared, whatever the room, and hardly more. Tables, factors
    /// and rotated probes are rounded, so estimates closer than 0.01 may change places; and a few rows have heads so
    /// much worse than their whole code that they are given up.
    @Test(arguments: [1, 10, 200])
    func theBestRowsByEstimateAreCompared(limit: Int) throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook, blockGroups: 2)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 2)
        let probes = (0..<30).map { _ in source.vector() }
        let compared = gallery.scan(probes.flatMap { $0 }, lists, limit: limit).compared
        var (certainCount, missing) = (0, 0)
        for (index, probe) in probes.enumerated() {
            let rows = compared[index]
            #expect(Set(rows).count == rows.count && rows.count >= limit)
            // Each of three rounds may have some compared that later ones push out.
            #expect(rows.count <= limit + 3 * 17)
            let estimates = gallery.estimates(probe)
            let least = estimates.sorted(by: >)[limit - 1]
            let certain = estimates.indices.filter { estimates[$0] > least + 0.01 }
            certainCount += certain.count
            missing += certain.count { !rows.contains(UInt32($0)) }
        }
        #expect(missing <= certainCount / 100, "seed \(testSeed), \(missing) of \(certainCount)")
    }

    /// With similarities known, most rows are given up early, and the best ones are found all the same.
    @Test(arguments: [1, 30])
    func rowsThatCannotMatterAreGivenUp(probeCount: Int) throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 8)
        var (lost, wanted, compared) = (0, 0, 0)
        for start in stride(from: 0, to: 300, by: probeCount) {
            let probes = (start..<start + probeCount).map { source.mate(of: Array(gallery.rows.row(5 * $0 % 1500))) }
            let similarities = probes.map { probe in
                (0..<1500).map { SpectrumSample.dot(probe, gallery.rows.row($0)) }
            }
            var found = [Set<UInt32>](repeating: [], count: probeCount)
            let prepared = PreparedProbes(probes: probes.flatMap { $0 }, codebook: gallery.codebook)
            let outcome = ListScanner(codebook: gallery.codebook, tolerance: CodeTolerance(missRate: 0.01)).scan(
                probes: prepared,
                plan: .lists(24, of: prepared),
                lists: lists,
                comparisonCount: 19,
                candidateLimit: 100,
                shouldStop: { false },
                comparing: { probe, rows in
                    found[probe].formUnion(rows)
                    let best = found[probe].map { similarities[probe][Int($0)] }.sorted(by: >)
                    return best.count >= 3 ? best[2] : -.infinity
                }
            )
            compared += Int(outcome.rowsReranked)
            for probe in 0..<probeCount {
                let best = similarities[probe].indices.sorted { similarities[probe][$0] > similarities[probe][$1] }
                wanted += 3
                lost += best.prefix(3).count { !found[probe].contains(UInt32($0)) }
            }
        }
        // One per cent at the very edge; the first two are above it.
        #expect(Double(lost) <= 0.02 * Double(wanted), "\(lost) of \(wanted), seed \(testSeed)")
        #expect(compared < 300 * 120, "\(compared) compared")
    }

    /// What is known from the beginning loses no more than what is learnt after the first round, and spares
    /// comparisons.
    @Test(arguments: [1, 20])
    func aThresholdCountsFromTheBeginning(probeCount: Int) throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 10)
        let threshold: Float = 0.35
        var (early, late, matches, lost) = (0, 0, 0, 0)
        for start in stride(from: 0, to: 400, by: probeCount) {
            let probes = (start..<start + probeCount).map { source.mate(of: Array(gallery.rows.row(3 * $0 % 1500))) }
            let prepared = PreparedProbes(probes: probes.flatMap { $0 }, codebook: gallery.codebook)
            func found(_ least: Float) -> (rows: [Set<UInt32>], compared: Int) {
                var found = [Set<UInt32>](repeating: [], count: probeCount)
                var compared = 0
                _ = ListScanner(codebook: gallery.codebook, tolerance: CodeTolerance(missRate: 0.001)).scan(
                    probes: prepared,
                    plan: .lists(24, of: prepared),
                    lists: lists,
                    comparisonCount: 26,
                    candidateLimit: 60,
                    leastSimilarity: least,
                    shouldStop: { false },
                    comparing: { probe, rows in
                        compared += rows.count
                        found[probe].formUnion(
                            rows.filter { SpectrumSample.dot(probes[probe], gallery.rows.row(Int($0))) >= threshold }
                        )
                        return threshold
                    }
                )
                return (found, compared)
            }
            let (known, learnt) = (found(threshold), found(-.infinity))
            (early, late) = (early + known.compared, late + learnt.compared)
            for (known, learnt) in zip(known.rows, learnt.rows) {
                matches += learnt.count
                lost += learnt.subtracting(known).count
            }
        }
        try #require(matches > 300)
        #expect(lost <= 1 + matches / 200, "\(lost) of \(matches), seed \(testSeed)")
        #expect(2 * early < late, "\(early) and \(late) compared")
    }

    @Test func deadRowsTakeNoRoom() throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        lists.dead = Set((0..<1500).filter { $0 % 50 != 7 })
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 3)
        let compared = gallery.scan(source.vector(), lists, limit: 30).compared
        #expect(compared[0] == (0..<30).map { row -> UInt32 in UInt32(50 * row + 7) })
    }

    @Test func onlyTheChosenListsAreVisited() throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 4)
        let probes = (0..<9).flatMap { _ in source.vector() }
        let prepared = PreparedProbes(probes: probes, codebook: gallery.codebook)
        for count in [1, 5, 24] {
            let (outcome, compared) = gallery.scan(probes, lists, limit: 1500, listCount: count)
            #expect(outcome.listsVisited == UInt64(9 * count))
            for probe in 0..<9 {
                var walk = prepared.walkCountingLists(ofProbe: probe)
                let chosen = walk.next(until: Double(count))
                #expect(compared[probe] == chosen.flatMap { lists.rows(ofList: Int($0)) }.sorted())
            }
        }
    }

    /// What was found tells how much more is worth a visit, for each probe of its own.
    @Test func aProbeVisitsWhatItsBudgetAllows() throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 6)
        let prepared = PreparedProbes(probes: (0..<3).flatMap { _ in source.vector() }, codebook: gallery.codebook)
        // Probe 1 learns after its first round that 10 of 24 lists are enough, probe 2 that it needs no more.
        let learnt: [Float] = [-.infinity, 0.5, 0.9]
        var visited = [Int](repeating: 0, count: 3)
        let walks = (0..<3).map { prepared.walkCountingLists(ofProbe: $0) }
        let outcome = ListScanner(codebook: gallery.codebook, tolerance: CodeTolerance(missRate: 0.01)).scan(
            probes: prepared,
            plan: VisitPlan(walks: walks) { least in least > 0.8 ? 0 : least > 0.4 ? 10 : 20 },
            lists: lists,
            comparisonCount: 1500,
            candidateLimit: 1500,
            shouldStop: { false },
            comparing: { probe, rows in
                visited[probe] += rows.count
                return learnt[probe]
            }
        )
        let expected = (0..<3).map { probe in
            var walk = walks[probe]
            // 3 % of 20 lists is one list.
            return walk.next(until: [20, 10, 1][probe]).reduce(0) { $0 + lists.rows(ofList: Int($1)).count }
        }
        #expect(outcome.listsVisited == 20 + 10 + 1 && outcome.completedShare == 1)
        // Candidates that are worse than what was learnt are not compared.
        #expect(visited[0] == expected[0] && visited[1] <= expected[1] && visited[2] <= expected[2])
        #expect(outcome.rowsVisited == UInt64(expected.reduce(0, +)))
    }

    /// Two threads share a probe, and one of them learns sooner that less is worth a visit: lists that both would visit
    /// are visited by one of them, and no row is offered twice.
    @Test func threadsThatLearnDifferentThingsLeaveNoListOut() throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 16)
        for _ in 0..<20 {
            let prepared = PreparedProbes(probes: source.vector(), codebook: gallery.codebook)
            let walk = prepared.walkCountingLists(ofProbe: 0)
            var offered: [[UInt32]] = []
            for (index, learnt) in [0.5, -Float.infinity, 0.9].enumerated() {
                var rows: [UInt32] = []
                let plan = VisitPlan(walks: [walk], slice: WorkSlice(index: index, count: 3)) { least in
                    least > 0.8 ? 4 : least > 0.4 ? 11 : 22
                }
                let outcome = ListScanner(codebook: gallery.codebook, tolerance: CodeTolerance(missRate: 0.01)).scan(
                    probes: prepared,
                    plan: plan,
                    lists: lists,
                    comparisonCount: 1500,
                    candidateLimit: 1500,
                    shouldStop: { false },
                    comparing: { _, compared in
                        rows += compared
                        return learnt
                    }
                )
                #expect(outcome.completedShare == 1)
                // What was found to be of no use is visited, and not compared.
                offered.append(rows)
            }
            #expect(Set(offered.joined()).count == offered.joined().count, "a row twice, seed \(testSeed)")
            // The second thread, which learns nothing, visits all of its part of the 22 lists.
            var all = walk
            let near = all.next(until: 22).filter { WorkSlice(index: 1, count: 3).holds(list: $0, of: 24) }
            #expect(offered[1].sorted() == near.flatMap { lists.rows(ofList: Int($0)) }.sorted())
        }
    }

    /// A probe alone asks once for every 64 lists; several ask at each list, and all ask between comparisons.
    @Test func aStopEndsTheScanAndSaysHowFarItCame() throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 5)
        let prepared = PreparedProbes(probes: source.vector() + source.vector(), codebook: gallery.codebook)
        var last: ListScanner.Outcome?
        var isWhole = false
        for limit in 0...400 where !isWhole {
            var asked = 0
            let outcome = ListScanner(codebook: gallery.codebook, tolerance: CodeTolerance(missRate: 0.01)).scan(
                probes: prepared,
                plan: .lists(24, of: prepared),
                lists: lists,
                comparisonCount: 17,
                candidateLimit: 1500,
                shouldStop: {
                    asked += 1
                    return asked > limit
                },
                comparing: { _, _ in -.infinity }
            )
            isWhole = asked <= limit
            #expect((outcome.completedShare == 1) == isWhole && outcome.listsPlanned == 48)
            #expect((0...1).contains(outcome.completedShare))
            #expect(outcome.completedShare <= Double(outcome.listsVisited) / 48)
            #expect((outcome.completedShare > 0) == (outcome.rowsReranked > 0))
            let before = last ?? outcome
            #expect(outcome.listsVisited >= before.listsVisited && outcome.rowsReranked >= before.rowsReranked)
            #expect(limit > 0 || outcome.listsVisited == 0)
            last = outcome
        }
        #expect(isWhole && last?.listsVisited == 48 && last?.rowsReranked == 2 * 1500)
    }

    /// Every row visited is compared here, so the lists that count are those whose rows were.
    @Test(arguments: [1, 5], [0, 1, 40, 700])
    func aStopDuringComparisonsEndsThem(probeCount: Int, comparedBefore: Int) throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 9)
        let prepared = PreparedProbes(
            probes: (0..<probeCount).flatMap { _ in source.vector() },
            codebook: gallery.codebook
        )
        var compared = 0
        let outcome = ListScanner(codebook: gallery.codebook, tolerance: CodeTolerance(missRate: 0.01)).scan(
            probes: prepared,
            plan: .lists(24, of: prepared),
            lists: lists,
            comparisonCount: 500,
            candidateLimit: 1500,
            shouldStop: { compared > comparedBefore },
            comparing: { _, rows in
                compared += rows.count
                return -.infinity
            }
        )
        #expect(compared > comparedBefore && compared <= comparedBefore + 32)
        #expect(outcome.rowsReranked == UInt64(compared))
        let whole = Double(probeCount * 1500)
        #expect(outcome.completedShare < 1 && outcome.completedShare > 0)
        // Lists differ in size.
        #expect(outcome.completedShare < 3 * Double(compared) / whole, "seed \(testSeed)")
    }

    /// A spectrum of 512 components and the bits of its segments.
    struct Case: CustomTestStringConvertible {
        let name: String
        let source: SpectrumSample
        let bits: [Int]

        var testDescription: String { name }
    }

    static let cases = [
        Case(name: "steep", source: .steep(dimension: 512), bits: [4, 1]),
        Case(name: "flat", source: SpectrumSample(energies: [Float](repeating: 1, count: 512)), bits: [2, 1, 1, 1]),
        Case(name: "heavy tail", source: .heavyTailed(dimension: 512), bits: [3, 1, 1]),
    ]

    @Test(arguments: cases)
    func estimatesHaveTheErrorOfTheory(example: Case) throws {
        var source = example.source
        let gallery = try Gallery(&source, rowCount: 2000, sampleCount: 8192)
        let plan = gallery.codebook.plan
        // Segments of equal energy differ by chance only.
        let bits = (0..<plan.segmentCount).map { segment in plan.planes.first { $0.segment == segment }?.bits ?? 0 }
        #expect(example.name == "flat" ? bits.sorted(by: >) == example.bits : bits == example.bits, "\(bits)")
        let probes = (0..<20).map { _ in source.mate(of: Array(gallery.rows.row(source.index(below: 2000)))) }
        var errors: [Double] = []
        var pairs: [(Double, Double)] = []
        for probe in probes {
            for (row, estimate) in gallery.estimates(probe).enumerated() {
                let similarity = Double(SpectrumSample.dot(probe, gallery.rows.row(row)))
                errors.append(Double(estimate) - similarity)
                pairs.append((Double(estimate), similarity))
            }
        }
        let deviation = Self.theory(gallery.codebook, probes: probes, deviations: source.deviations)
        #expect(errors.count == 40_000)
        let bias = errors.reduce(0, +) / Double(errors.count)
        let spread = (errors.reduce(0) { $0 + $1 * $1 } / Double(errors.count)).squareRoot()
        #expect(abs(bias) < 0.003, "bias \(bias)")
        #expect(abs(spread / deviation - 1) < 0.15, "deviation \(spread), theory \(deviation)")
        // An error that does not depend on the similarity leaves this correlation.
        let mean = pairs.reduce(0) { $0 + $1.1 } / Double(pairs.count)
        let variance = pairs.reduce(0) { $0 + ($1.1 - mean) * ($1.1 - mean) } / Double(pairs.count)
        let expected = (variance / (variance + deviation * deviation)).squareRoot()
        #expect(abs(Self.correlation(pairs) - expected) < 0.04, "correlation \(Self.correlation(pairs))")
    }

    /// A code that keeps the share `1 - d` of a component's variance `σ²` adds `d / (1 - d) · σ² q²` to the error's
    /// variance; a component that is not coded adds `σ² q²`.
    private static func theory(_ codebook: Codebook, probes: [[Float]], deviations: [Float]) -> Double {
        let plan = codebook.plan
        let lost = (0..<plan.codedDimension).map { component -> Double in
            let bits = plan.planes.first { $0.segment == component / CodePlane.dimension }?.bits ?? 0
            let distortion = Double(CodePlane.distortion[bits])
            return bits == 0 ? 1 : distortion / (1 - distortion)
        }
        let variances = probes.map { probe -> Double in
            let rotated = codebook.rotate(probes: probe)
            let coded = rotated.indices.reduce(0.0) {
                $0 + lost[$1] * Double(rotated[$1] * rotated[$1] * codebook.scale[$1] * codebook.scale[$1])
            }
            // The principal components are the axes.
            let rest = zip(probe, deviations).dropFirst(plan.codedDimension).reduce(0.0) {
                $0 + Double($1.0 * $1.0 * $1.1 * $1.1)
            }
            return coded + rest
        }
        return (variances.reduce(0, +) / Double(variances.count)).squareRoot()
    }

    private static func correlation(_ pairs: [(Double, Double)]) -> Double {
        let count = Double(pairs.count)
        let means = (pairs.reduce(0) { $0 + $1.0 } / count, pairs.reduce(0) { $0 + $1.1 } / count)
        var (xx, yy, xy) = (0.0, 0.0, 0.0)
        for pair in pairs {
            let (x, y) = (pair.0 - means.0, pair.1 - means.1)
            xx += x * x
            yy += y * y
            xy += x * y
        }
        return xy / (xx * yy).squareRoot()
    }
}

extension VisitPlan {
    /// As many of the nearest lists for every probe.
    fileprivate static func lists(_ count: Int, of probes: PreparedProbes) -> VisitPlan {
        VisitPlan(walks: (0..<probes.probeCount).map(probes.walkCountingLists)) { _ in Double(count) }
    }
}
