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
            reconstructions = (0..<rowCount).map { row in
                let y = rotated[row * coded..<(row + 1) * coded]
                let levels = zip(y, codebook.scale).map { value, scale -> Float in
                    let isOuter = abs(value) > 0.9816 * scale
                    let level: Float = codebook.plan.bitsPerComponent == 1 ? 0.7979 : isOuter ? 1.5104 : 0.4528
                    return (value > 0 ? level : -level) * scale
                }
                let factor = SpectrumSample.dot(y, y) / SpectrumSample.dot(y, levels)
                return levels.map { factor * $0 }
            }
        }

        func scan(
            _ probes: [Float],
            _ lists: MemoryLists,
            limit: Int,
            select: (PreparedProbes, Int) -> ListSelection
        ) -> ListScanner.Outcome {
            let prepared = PreparedProbes(probes: probes, codebook: codebook)
            return ListScanner(codebook: codebook).scan(
                probes: prepared,
                selections: (0..<prepared.probeCount).map { select(prepared, $0) },
                lists: lists,
                candidateLimit: limit,
                shouldStop: { false }
            )
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

    @Test func aFullScanOffersEveryRow() throws {
        let gallery = try Self.small.get()
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 1)
        let probes = (0..<7).flatMap { _ in source.vector() }
        for blockGroups in [1, 3, 64] {
            let lists = MemoryLists(gallery.batch, codebook: gallery.codebook, blockGroups: blockGroups)
            var outcome = gallery.scan(probes, lists, limit: 1500) { $0.lists(ofProbe: $1, count: 24) }
            #expect(outcome.rowsVisited == 7 * 1500 && outcome.listsVisited == 7 * 24 && outcome.completedShare == 1)
            for probe in 0..<7 { #expect(outcome.candidates[probe].rows() == (0..<1500).map { UInt32($0) }) }
        }
    }

    /// The best rows by the definition of the codes are kept, whatever the room. Tables and factors are rounded: 64
    /// tables by half a step each, seldom all in one direction, so estimates closer than 0.01 may change places.
    @Test(arguments: [1, 10, 200])
    func theBestRowsByEstimateAreKept(limit: Int) throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook, blockGroups: 2)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 2)
        let probes = (0..<30).map { _ in source.vector() }
        var outcome = gallery.scan(probes.flatMap { $0 }, lists, limit: limit) { $0.lists(ofProbe: $1, count: 24) }
        for (index, probe) in probes.enumerated() {
            let rows = outcome.candidates[index].rows()
            #expect(rows.count == limit && Set(rows).count == limit)
            let estimates = gallery.estimates(probe)
            let least = estimates.sorted(by: >)[limit - 1]
            #expect(rows.allSatisfy { estimates[Int($0)] > least - 0.01 }, "seed \(testSeed), probe \(index)")
            let certain = estimates.indices.filter { estimates[$0] > least + 0.01 }
            #expect(certain.allSatisfy { rows.contains(UInt32($0)) }, "seed \(testSeed), probe \(index)")
        }
    }

    /// What the threshold of a small room leaves out does not belong to the best of a larger one.
    @Test func smallerRoomsKeepTheBestOfLargerOnes() throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook, blockGroups: 2)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 6)
        let probes = (0..<30).flatMap { _ in source.vector() }
        var larger = [Set<UInt32>](repeating: Set(0..<1500), count: 30)
        for limit in [1499, 700, 300, 64, 17, 2, 1] {
            var outcome = gallery.scan(probes, lists, limit: limit) { $0.lists(ofProbe: $1, count: 24) }
            for probe in 0..<30 {
                let rows = Set(outcome.candidates[probe].rows())
                #expect(rows.count == limit && rows.isSubset(of: larger[probe]), "seed \(testSeed), limit \(limit)")
                larger[probe] = rows
            }
        }
    }

    /// Equal estimates: the lower rows stay.
    @Test func copiesAreKeptFromTheLowestRowOn() throws {
        let gallery = try Self.small.get()
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 7)
        let copy = source.vector()
        let batch = gallery.codebook.encode(embeddings: (0..<500).flatMap { _ in copy })
        let lists = MemoryLists(batch, codebook: gallery.codebook)
        for limit in [1, 3, 100, 499] {
            var outcome = gallery.scan(copy, lists, limit: limit) { $0.lists(ofProbe: $1, count: 24) }
            #expect(outcome.candidates[0].rows() == (0..<limit).map { UInt32($0) }, "limit \(limit)")
        }
    }

    @Test func deadRowsTakeNoRoom() throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        lists.dead = Set((0..<1500).filter { $0 % 50 != 7 })
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 3)
        var outcome = gallery.scan(source.vector(), lists, limit: 30) { $0.lists(ofProbe: $1, count: 24) }
        let living = (0..<30).map { row -> UInt32 in UInt32(50 * row + 7) }
        #expect(outcome.candidates[0].rows() == living)
    }

    @Test func onlyTheChosenListsAreVisited() throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 4)
        let probes = (0..<9).flatMap { _ in source.vector() }
        let prepared = PreparedProbes(probes: probes, codebook: gallery.codebook)
        var outcome = gallery.scan(probes, lists, limit: 1500) { $0.lists(ofProbe: $1, count: $1 + 1) }
        #expect(outcome.listsVisited == 45)
        for probe in 0..<9 {
            let chosen = prepared.lists(ofProbe: probe, count: probe + 1).lists
            let expected = chosen.flatMap { lists.rows(ofList: Int($0)) }.sorted()
            #expect(outcome.candidates[probe].rows() == expected)
        }
        var none = gallery.scan(probes, lists, limit: 5) { _, _ in ListSelection(lists: []) }
        #expect(none.rowsVisited == 0 && none.completedShare == 1)
        for probe in 0..<9 { #expect(none.candidates[probe].rows() == []) }
    }

    @Test func aStopEndsTheScanAndSaysHowFarItCame() throws {
        let gallery = try Self.small.get()
        let lists = MemoryLists(gallery.batch, codebook: gallery.codebook)
        var source = SpectrumSample.heavyTailed(dimension: 128, seed: testSeed &+ 5)
        let prepared = PreparedProbes(probes: source.vector(), codebook: gallery.codebook)
        for limit in 0...24 {
            var asked = 0
            let outcome = ListScanner(codebook: gallery.codebook).scan(
                probes: prepared,
                selections: [prepared.lists(ofProbe: 0, count: 24)],
                lists: lists,
                candidateLimit: 1500,
                shouldStop: {
                    asked += 1
                    return asked > limit
                }
            )
            #expect(abs(outcome.completedShare - Double(limit) / 24) < 1e-9)
            #expect(outcome.listsVisited == UInt64(limit))
        }
    }

    /// A spectrum of 512 components, its plan, and the deviation of the estimate's error as it is known for the plan.
    struct Case: CustomTestStringConvertible {
        let name: String
        let source: SpectrumSample
        let bits: Int
        /// Nil where it depends on the spectrum too much.
        let figure: Double?

        var testDescription: String { name }
    }

    static let cases = [
        // Two bits for the leading 256 components.
        Case(name: "steep", source: .steep(dimension: 512), bits: 2, figure: 0.022),
        // One bit each, all alike: 0.75 / √511, as for RaBitQ.
        Case(
            name: "flat",
            source: SpectrumSample(energies: [Float](repeating: 1, count: 512)),
            bits: 1,
            figure: 0.033
        ),
        Case(name: "heavy tail", source: .heavyTailed(dimension: 512), bits: 1, figure: nil),
    ]

    @Test(arguments: cases)
    func estimatesHaveTheErrorOfTheory(example: Case) throws {
        var source = example.source
        let gallery = try Gallery(&source, rowCount: 2000, sampleCount: 8192)
        #expect(gallery.codebook.plan.bitsPerComponent == example.bits)
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
        // The figures that the plans were chosen by; they leave the probes' own spectrum out.
        if let figure = example.figure { #expect(abs(spread / figure - 1) < 0.3, "deviation \(spread)") }
        // An error that does not depend on the similarity leaves this correlation.
        let mean = pairs.reduce(0) { $0 + $1.1 } / Double(pairs.count)
        let variance = pairs.reduce(0) { $0 + ($1.1 - mean) * ($1.1 - mean) } / Double(pairs.count)
        let expected = (variance / (variance + deviation * deviation)).squareRoot()
        #expect(abs(Self.correlation(pairs) - expected) < 0.04, "correlation \(Self.correlation(pairs))")
    }

    /// A code that keeps the share `1 - d` of a component's variance `σ²` adds `d / (1 - d) · σ² q²` to the error's
    /// variance (`d` is `1 - 2 / π` for one bit and 0.1175 for two); a component that is not coded adds `σ² q²`.
    private static func theory(_ codebook: Codebook, probes: [[Float]], deviations: [Float]) -> Double {
        let lost = codebook.plan.bitsPerComponent == 1 ? 1 - 2 / Double.pi : 0.1175
        let variances = probes.map { probe -> Double in
            let coded = zip(codebook.rotate(probes: probe), codebook.scale).reduce(0.0) {
                $0 + Double($1.0 * $1.0 * $1.1 * $1.1)
            }
            // The principal components are the axes.
            let rest = zip(probe, deviations).dropFirst(codebook.plan.codedDimension).reduce(0.0) {
                $0 + Double($1.0 * $1.0 * $1.1 * $1.1)
            }
            return lost / (1 - lost) * coded + rest
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
