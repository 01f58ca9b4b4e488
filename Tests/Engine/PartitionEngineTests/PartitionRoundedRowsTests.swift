import FaceModel
import LMDB
import PartitionEngine
import PartitionStore
import Testing
import VectorMath

/// Exact searches on rounded rows: what they answer is what a loop over the stored embeddings does, bit by bit.
@Suite(.serialized)
struct PartitionRoundedRowsTests {
    /// Galleries that are hard on a bound.
    enum Gallery: CaseIterable {
        case random
        /// Few persons with many images each.
        case clustered
        /// Every embedding many times.
        case duplicated
        /// Similarities closer to each other than one step of int8, or of float16.
        case nearTies
        /// Components halfway between two int8, so that the rests are as large as they get.
        case halves

        func embeddings(_ count: Int, _ source: inout FaceSource) -> [[Float]] {
            let persons = (0..<8).map { _ in source.embedding() }
            return (0..<count).map { number in
                switch self {
                case .random: return source.embedding()
                case .clustered: return source.image(of: persons[number % 8], noise: 0.3)
                case .duplicated: return persons[number % 8]
                case .nearTies:
                    let step = Float(Int.random(in: -40...40, using: &source.generator)) * 0x1p-19
                    return FaceSource.normalised(source.image(of: persons[0], noise: step))
                case .halves:
                    let row = (0..<source.dimension).map { component in
                        component == 0 ? 127 : Float(Int.random(in: -126...126, using: &source.generator)) + 0.5
                    }
                    return FaceSource.normalised(row)
                }
            }
        }
    }

    struct Shape: CustomTestStringConvertible {
        let dimension: Int
        let precision: StoredPrecision
        var testDescription: String { "\(dimension) \(precision.name)" }
    }

    static let shapes = [
        Shape(dimension: 64, precision: .float16), Shape(dimension: 72, precision: .float32),
        Shape(dimension: 512, precision: .float16), Shape(dimension: 520, precision: .float32),
    ]

    @Test(arguments: Gallery.allCases, shapes)
    func exactSearchesEqualALoopOverTheStoredEmbeddings(gallery: Gallery, shape: Shape) throws {
        var options = PartitionOptions.small
        options.scatteredRowCost = .infinity
        let fixture = try PartitionFixture(dimension: shape.dimension, precision: shape.precision, options: options)
        var model = PartitionModel(precision: shape.precision)
        var source = FaceSource(dimension: shape.dimension, seed: testSeed &+ UInt64(shape.dimension))
        // Three full chunks and a tail.
        let count = 3 * 128 + 50
        let embeddings = gallery.embeddings(count, &source)
        func write(_ batch: WriteBatch) throws {
            #expect(try fixture.partition.write([batch], epoch: 1) == model.write([batch], epoch: 1))
        }
        try write(
            fixture.enrolment((0..<count).map { FaceID($0 * 37 % count) }, embeddings) { id in
                FaceMetadata(
                    expires: id.low % 11 == 0 ? Timestamp(milliseconds: 10) : nil,
                    attributes: ["gate": id.low % 3 == 0 ? "north" : "south"]
                )
            }
        )
        // Some of the first chunk are overwritten, some of the second only dead.
        let dead = (0..<20).map { FaceID($0 * 37 % count) } + (128..<134).map { FaceID($0 * 37 % count) }
        try write(WriteBatch(key: fixture.nextKey(), operation: .delete(dead)))
        try fixture.settle()
        let probes = [
            source.embedding(), embeddings[30], embeddings[count - 1].map { -$0 },
            source.mate(of: embeddings[200], similarity: 0.6), embeddings[140],
        ]
        let inForce = VectorKernels.level
        defer { VectorKernels.setLevel(inForce) }
        for level in KernelLevel.allCases where VectorKernels.setLevel(level) == level {
            for limit in [1, 10, 1000] {
                for filter in [nil, FaceFilter(attributes: ["gate": "north"])] {
                    let rankings = probes.map { probe in
                        model.ranking(
                            probe: probe,
                            threshold: nil,
                            filter: filter,
                            excluding: FaceID(5),
                            now: Timestamp(milliseconds: 20)
                        )
                    }
                    // The tenth similarity, met by equality, is a threshold too.
                    let tenth = rankings[0].count > 9 ? Float(bitPattern: rankings[0][9].similarity) : 0
                    for threshold in [nil, tenth, 0.999] as [Float?] {
                        let least = threshold ?? -.infinity
                        let expected = rankings.map { ranking in
                            ranking.filter { Float(bitPattern: $0.similarity) >= least }.prefix(limit)
                        }
                        let comment = Comment(
                            rawValue:
                                "\(level.name), limit \(limit), \(String(describing: threshold)), seed \(testSeed)"
                        )
                        func search(_ probes: [[Float]]) throws -> [[Found]] {
                            try fixture.search(
                                probes,
                                limit: limit,
                                threshold: threshold,
                                filter: filter,
                                excluding: FaceID(5),
                                now: Timestamp(milliseconds: 20)
                            ).found
                        }
                        #expect(try search(probes) == expected.map { Array($0) }, comment)
                        for (probe, ranking) in zip(probes, expected) {
                            #expect(try search([probe]) == [Array(ranking)], comment)
                        }
                    }
                }
            }
        }
    }

    @Test func mostRowsAreNotComparedInFull() throws {
        let fixture = try PartitionFixture(dimension: 512)
        var source = FaceSource(dimension: 512)
        let embeddings = (0..<2560).map { _ in source.embedding() }
        try fixture.enrol((0..<2560).map { FaceID($0) }, embeddings)
        let answer = try fixture.search([embeddings[3], source.embedding()], limit: 5)
        #expect(answer.matches[0][0].faceID == FaceID(3))
        #expect(answer.rowsVisited == 2 * 2560)
        #expect(answer.rowsReranked > 10 && answer.rowsReranked < 2560)
    }

    // MARK: Partitions of earlier formats

    /// The values of `roundedRows` of a closed partition.
    private func storedRoundings(_ directory: String) throws -> [UInt32: [UInt8]] {
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        let environment = try Environment(path: directory, options: options)
        defer { environment.close() }
        let tables = try PartitionTables(environment, create: false)
        var chunks: [UInt32: [UInt8]] = [:]
        try environment.read { transaction in
            try transaction.forEach(in: tables.roundedRows) { entry in
                chunks[entry.uint32Key!] = Array(entry.value)
                return .next
            }
        }
        return chunks
    }

    private func exact(_ partition: Partition, _ probes: [[Float]]) throws -> [[Found]] {
        try partition.search(
            PartitionSearch(
                parameters: SearchParameters(matchLimit: 20, effort: .exact),
                excludedFace: nil,
                probes: EmbeddingMatrix(dimension: 64, values: probes.flatMap { $0 }),
                now: Timestamp(milliseconds: 0)
            ),
            shouldStop: { false }
        ).found
    }

    /// More chunks than one step rounds, and a stop after it: what is missing is rounded after the next opening, and
    /// searches answer alike all the time.
    @Test(arguments: [UInt8(1), 2])
    func rowsOfAnEarlierFormatAreRoundedStepByStep(format: UInt8) throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let count = 70 * 128 + 5
        let embeddings = (0..<count).map { _ in source.embedding() }
        try fixture.enrol((0..<count).map { FaceID($0) }, embeddings)
        // A chunk that is gone, and one with a hole.
        try fixture.delete((256..<384).map { FaceID($0) } + (500..<512).map { FaceID($0) })
        try fixture.settle()
        let probes = Array(embeddings[..<4]) + [source.embedding()]
        let expected = try fixture.search(probes, limit: 20).found
        fixture.partition.close()
        let folder = TemporaryFolder()
        try fixture.copy(to: folder.path, asFormat: format)
        let complete = try storedRoundings(fixture.directory)
        #expect(complete.count == 69)

        func open() throws -> Partition { try Partition.open(at: folder.path, options: .small) }
        var partition = try open()
        func maintain() throws -> Bool { try partition.maintain(now: Timestamp(milliseconds: 0)) != nil }
        #expect(try exact(partition, probes) == expected)
        #expect(try maintain() == true)
        #expect(try exact(partition, probes) == expected)
        partition.close()
        #expect(try storedRoundings(folder.path).count == 64)
        partition = try open()
        #expect(try exact(partition, probes) == expected)
        // A chunk that fills up meanwhile is rounded as it is written.
        let opposite = FaceSource.normalised(
            (0..<64).map { component in -probes.reduce(0) { $0 + $1[component] } }
        )
        let batch = fixture.enrolment(
            (0..<130).map { FaceID(20_000 + $0) },
            [[Float]](repeating: opposite, count: 130)
        )
        _ = try partition.write([batch], epoch: 1)
        #expect(try maintain() == true)
        // Then the rows are counted for the digest, in two steps.
        #expect(try maintain() == true)
        #expect(try maintain() == true)
        #expect(try maintain() == false)
        #expect(try exact(partition, probes) == expected)
        partition.close()
        let rounded = try storedRoundings(folder.path)
        #expect(rounded.count == 70)
        #expect(rounded.filter { complete.keys.contains($0.key) } == complete)
    }

    /// A chunk without its roundings is compared in full.
    @Test func missingRoundingsAreDoneWithoutAndMadeAgain() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<512).map { _ in source.embedding() }
        try fixture.enrol((0..<512).map { FaceID($0) }, embeddings)
        let expected = try fixture.search(Array(embeddings[250..<260])).found
        fixture.partition.close()
        let complete = try storedRoundings(fixture.directory)
        try fixture.change { tables, transaction in
            let isRemoved = try transaction.delete(tables.roundedRows, key: UInt32(1))
            #expect(isRemoved)
        }
        try fixture.reopen()
        #expect(try fixture.search(Array(embeddings[250..<260])).found == expected)
        #expect(try fixture.settle() == 1)
        #expect(try fixture.search(Array(embeddings[250..<260])).found == expected)
        fixture.partition.close()
        #expect(try storedRoundings(fixture.directory) == complete)
    }

    /// Roundings that belong to another chunk.
    @Test func roundingsInAnotherPlaceAreNoticed() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<256).map { FaceID($0) }, (0..<256).map { _ in source.embedding() })
        fixture.partition.close()
        try fixture.change { tables, transaction in
            let value = Array(try #require(try transaction.reading.value(of: tables.roundedRows, key: UInt32(0))))
            try transaction.put(tables.roundedRows, key: UInt32(1), value: value)
        }
        try fixture.reopen()
        let probe = source.embedding()
        #expect { try fixture.search([probe]) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }
}
