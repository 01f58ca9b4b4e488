import InvertedFileIndex
import VectorMath

/// What the embeddings of a collection are like: how many components hold them, how alike strangers and mates are.
struct SpectrumExperiment {
    /// Pairs of strangers, and of mates, that are compared.
    private static let pairLimit = 1_000_000
    private static let componentCounts = [8, 16, 32, 64, 128, 192, 256, 384, 512, 1024, 2048]
    private static let quantiles: [(name: String, share: Double)] = [
        ("0.1 %", 0.001), ("1 %", 0.01), ("10 %", 0.1), ("50 %", 0.5), ("90 %", 0.9), ("99 %", 0.99),
        ("99.9 %", 0.999), ("99.99 %", 0.9999),
    ]

    private let faces: LabelledFaces
    private let components: PrincipalComponents
    private let seed: UInt64

    init(_ faces: LabelledFaces, seed: UInt64) {
        self.faces = faces
        self.seed = seed
        components = PrincipalComponents(rows: faces.faces, dimension: faces.dimension)
    }

    /// Components of equal energy that would have the same sum of squared energies.
    var participationRatio: Double {
        let total = components.energies.reduce(0) { $0 + Double($1) }
        return total * total / components.energies.reduce(0) { $0 + Double($1) * Double($1) }
    }

    func report(of source: String) -> ExperimentReport {
        let strangers = strangerSimilarities()
        let mates = mateSimilarities()
        var similarity = ResultTable(
            "similarities",
            title: "Similarity of two faces, by share of the pairs below it",
            columns: [.init("pairs_of", "faces of"), .init("pairs"), .init("mean"), .init("deviation")]
                + Self.quantiles.map { .init("quantile_\($0.share)", $0.name) }
        )
        similarity.append(Self.distribution("two persons", strangers))
        similarity.append(Self.distribution("one person", mates))
        var bands = ResultTable(
            "mate_bands",
            title: "Pairs of one person, by similarity from",
            columns: ResultTable.Column.bands
        )
        bands.append(
            (0..<SimilarityBands.count).map { band in
                .found(mates.count { SimilarityBands.band(of: $0) == band }, of: mates.count)
            }
        )
        let mean = components.mean.reduce(0) { $0 + Double($1) * Double($1) }.squareRoot()
        return ExperimentReport(
            facts: [
                ("gallery", .text(source)), ("faces", .count(faces.faceCount)),
                ("participation_ratio", .number(participationRatio, decimals: 1)),
                ("length_of_the_mean", .number(mean, decimals: 3)),
                ("code_plan", .text(CodeVariant.bitsText(CodePlan.forSpectrum(components.energies)))),
            ],
            tables: [energyTable, similarity, bands, imageTable]
        )
    }

    /// Shares that the first principal components hold.
    private var energyTable: ResultTable {
        var table = ResultTable(
            "energy",
            title: "Share in the first components",
            columns: [
                .init("components"), .init("energy", "energy of faces"), .init("energy_of_probes", "of probes"),
                .init("impostor_variance", "variance between strangers"),
            ]
        )
        let energies = components.energies.map { Double($0) }
        let total = energies.reduce(0, +)
        let squares = energies.reduce(0) { $0 + $1 * $1 }
        let probeEnergies = probeEnergies()
        let probeTotal = probeEnergies.reduce(0, +)
        for count in Self.componentCounts where count <= faces.dimension {
            let first = energies.prefix(count)
            table.append([
                .count(count), .share(first.reduce(0, +) / total),
                probeTotal > 0 ? .share(probeEnergies.prefix(count).reduce(0, +) / probeTotal) : .none,
                .share(first.reduce(0) { $0 + $1 * $1 } / squares),
            ])
        }
        return table
    }

    /// Mean squares of the probes, less the faces' mean, along the faces' components.
    private func probeEnergies() -> [Double] {
        let dimension = faces.dimension
        guard !faces.probes.isEmpty else { return [] }
        var centred = faces.probes
        for index in centred.indices { centred[index] -= components.mean[index % dimension] }
        let count = centred.count / dimension
        let projected = Matrix(rows: count, columns: dimension, storage: centred).multiplied(
            by: Matrix(rows: dimension, columns: dimension, storage: components.components),
            transposingOther: true
        ).storage
        var sums = [Double](repeating: 0, count: dimension)
        for index in projected.indices { sums[index % dimension] += Double(projected[index] * projected[index]) }
        return sums.map { $0 / Double(count) }
    }

    private var imageTable: ResultTable {
        var counts: [Int: Int] = [:]
        for person in faces.persons { counts[person, default: 0] += 1 }
        let sorted = counts.values.map { Float($0) }.sorted()
        var table = ResultTable(
            "images_a_person",
            title: "Images a person",
            columns: [
                .init("persons"), .init("mean"), .init("median", "50 %"), .init("quantile_0.9", "90 %"),
                .init("quantile_0.99", "99 %"), .init("most"),
            ]
        )
        table.append([
            .count(sorted.count), .number(Double(faces.faceCount) / Double(max(1, sorted.count)), decimals: 2),
            .number(Double(Self.quantile(sorted, 0.5)), decimals: 0),
            .number(Double(Self.quantile(sorted, 0.9)), decimals: 0),
            .number(Double(Self.quantile(sorted, 0.99)), decimals: 0),
            .number(Double(sorted.last ?? 0), decimals: 0),
        ])
        return table
    }

    private func strangerSimilarities() -> [Float] {
        var generator = SplitMix64(seed: seed)
        var similarities: [Float] = []
        for _ in 0..<(faces.faceCount > 1 ? Self.pairLimit : 0) {
            let first = Int.random(in: 0..<faces.faceCount, using: &generator)
            let second = Int.random(in: 0..<faces.faceCount, using: &generator)
            if faces.persons[first] != faces.persons[second] { similarities.append(similarity(first, second)) }
        }
        return similarities
    }

    /// Each face with the one before it of the same person: every person counts by its images.
    private func mateSimilarities() -> [Float] {
        var last: [Int: Int] = [:]
        var similarities: [Float] = []
        for (face, person) in faces.persons.enumerated() where similarities.count < Self.pairLimit {
            if let earlier = last.updateValue(face, forKey: person) { similarities.append(similarity(earlier, face)) }
        }
        return similarities
    }

    private func similarity(_ first: Int, _ second: Int) -> Float {
        let dimension = faces.dimension
        return unsafe faces.faces.withUnsafeBufferPointer { values in
            var sum: Float = 0
            for component in 0..<dimension {
                unsafe sum += values[first * dimension + component] * values[second * dimension + component]
            }
            return sum
        }
    }

    private static func distribution(_ name: String, _ values: [Float]) -> [ResultCell] {
        let count = Double(max(1, values.count))
        let mean = values.reduce(0) { $0 + Double($1) } / count
        let variance = values.reduce(0) { $0 + (Double($1) - mean) * (Double($1) - mean) } / count
        let sorted = values.sorted()
        return [
            .text(name), .count(values.count), .number(mean, decimals: 3),
            .number(variance.squareRoot(), decimals: 3),
        ] + quantiles.map { .number(Double(quantile(sorted, $0.share)), decimals: 3) }
    }

    static func quantile(_ sorted: [Float], _ share: Double) -> Float {
        sorted.isEmpty ? .nan : sorted[min(sorted.count - 1, Int(share * Double(sorted.count)))]
    }
}
