import FaceModel
import PartitionEngine
import Testing
import VectorMath

/// Random operations on a partition and on its model: both must answer alike after every step.
struct PartitionModelTests {
    struct Shape: CustomTestStringConvertible {
        let dimension: Int
        let precision: StoredPrecision
        let steps: Int
        /// 0 compares the rows that pass a filter one by one, infinity never does.
        let scatteredRowCost: Double

        var testDescription: String { "\(dimension) \(precision.name), row cost \(scatteredRowCost)" }
    }

    static let shapes = [
        Shape(dimension: 64, precision: .float16, steps: 250, scatteredRowCost: 20),
        Shape(dimension: 64, precision: .float16, steps: 150, scatteredRowCost: .infinity),
        Shape(dimension: 72, precision: .float32, steps: 150, scatteredRowCost: 0),
        Shape(dimension: 128, precision: .float16, steps: 100, scatteredRowCost: 4),
        Shape(dimension: 512, precision: .float32, steps: 60, scatteredRowCost: 2),
        Shape(dimension: 520, precision: .float16, steps: 60, scatteredRowCost: 20),
    ]

    @Test(arguments: shapes)
    func randomOperationsAgreeWithTheModel(shape: Shape) throws {
        var play = try Play(shape, seed: testSeed &+ UInt64(shape.dimension + shape.steps))
        for step in 0..<shape.steps {
            try play.step(step)
            let comment = "seed \(testSeed), step \(step): \(play.lastAction)"
            try play.check(comment)
            if step % 10 == 0 {
                #expect(try play.fixture.partition.verifyAll() == play.fixture.partition.digest(), "\(comment)")
            }
        }
        #expect(try play.fixture.partition.verifyAll() == play.fixture.partition.digest(), "seed \(testSeed)")
        #expect(play.hasSeen.isSuperset(of: ["enrol", "delete", "settle", "reopen", "resend", "later"]))
        #expect(play.fixture.evacuationCount > 0)
    }
}

/// One run of random operations.
private struct Play {
    private static let idCount = 700

    let fixture: PartitionFixture
    private var model: PartitionModel
    private var source: FaceSource
    private var known: [[Float]] = []
    private var now = Timestamp(milliseconds: 1_000_000)
    private var sent: [WriteBatch] = []
    private(set) var lastAction = ""
    private(set) var hasSeen: Set<String> = []
    private var hasCodebook = false

    init(_ shape: PartitionModelTests.Shape, seed: UInt64) throws {
        var options = PartitionOptions.small
        // Every row is a candidate, so that codes decide nothing and every effort that sees all lists is exact.
        options.candidateFloor = 100_000
        options.scatteredRowCost = shape.scatteredRowCost
        fixture = try PartitionFixture(dimension: shape.dimension, precision: shape.precision, options: options)
        model = PartitionModel(precision: shape.precision)
        source = FaceSource(dimension: shape.dimension, seed: seed)
    }

    mutating func step(_ number: Int) throws {
        if number == 25 {
            lastAction = "install"
            try fixture.partition.install(codebook: FaceSource.codebook(dimension: fixture.dimension))
            hasCodebook = true
            return
        }
        switch Int.random(in: 0..<100, using: &source.generator) {
        case 0..<45: try write((0..<Int.random(in: 1...3, using: &source.generator)).map { _ in enrolment() }, "enrol")
        case 45..<60: try write([deletion()], "delete")
        case 60..<65: try write([enrolment(), deletion(), enrolment()], "group")
        case 65..<72:
            lastAction = "later"
            now = Timestamp(
                milliseconds: now.milliseconds + Int64.random(in: 1...2000, using: &source.generator)
            )
        case 72..<84:
            lastAction = "maintain"
            model.expire(now: now)
            _ = try fixture.maintain(now: now)
        case 84..<90:
            lastAction = "settle"
            model.expire(now: now)
            try fixture.settle(now: now)
        case 90..<95:
            lastAction = "reopen"
            try fixture.reopen()
        default:
            if let batch = sent.randomElement(using: &source.generator) { try write([batch], "resend") }
        }
        hasSeen.insert(lastAction)
    }

    private mutating func write(_ batches: [WriteBatch], _ name: String) throws {
        lastAction = name
        let epoch = UInt64.random(in: 1...3, using: &source.generator)
        let receipts = try fixture.partition.write(batches, epoch: epoch)
        #expect(receipts == model.write(batches, epoch: epoch), "seed \(testSeed), \(name)")
        sent.append(contentsOf: batches)
    }

    private mutating func enrolment() -> WriteBatch {
        let count = Int.random(in: 1...60, using: &source.generator)
        var ids = (0..<count).map { _ in FaceID(Int.random(in: 0..<Self.idCount, using: &source.generator)) }
        if count > 4 { ids[count - 1] = ids[0] }
        var embeddings: [[Float]] = []
        for _ in 0..<count {
            switch Int.random(in: 0..<4, using: &source.generator) {
            case 0 where !known.isEmpty: embeddings.append(known.randomElement(using: &source.generator)!)
            case 1 where !known.isEmpty:
                embeddings.append(
                    source.image(of: known.randomElement(using: &source.generator)!, noise: 0.5)
                )
            default: embeddings.append(source.embedding())
            }
        }
        if known.count < 200 { known.append(contentsOf: embeddings) }
        return fixture.enrolment(ids, embeddings) { id in
            switch id.low % 5 {
            case 0: return FaceMetadata(expires: Timestamp(milliseconds: now.milliseconds + Int64(id.low % 3000)))
            case 1: return FaceMetadata()
            default:
                // Other metadata each time, so that a face that is replaced passes other filters.
                return FaceMetadata(
                    personID: maybe((0..<20).map { "person \($0)" }),
                    externalImageID: maybe(["a", "ab", "b"]),
                    created: maybe((0..<100).map { Timestamp(milliseconds: $0) }),
                    expires: id.low % 5 == 2 ? Timestamp(milliseconds: now.milliseconds + 2000) : nil,
                    attributes: ["gate": maybe(["north", "south"]) ?? "", "day": "\(id.low % 7)"]
                )
            }
        }
    }

    private mutating func maybe<T>(_ values: [T]) -> T? {
        Bool.random(using: &source.generator) ? values.randomElement(using: &source.generator) : nil
    }

    /// Some come again and again, as those do that are kept.
    private mutating func filter() -> FaceFilter? {
        switch Int.random(in: 0..<8, using: &source.generator) {
        case 0, 1: nil
        case 2: FaceFilter(personIDs: ["person \(Int.random(in: 0..<25, using: &source.generator))"])
        case 3: FaceFilter(attributes: ["gate": "north"])
        case 4: FaceFilter(createdFrom: Timestamp(milliseconds: 20), createdBefore: Timestamp(milliseconds: 60))
        case 5: FaceFilter(externalImageIDs: ["a", "b"], attributes: maybe([["gate": ""]]) ?? [:])
        default:
            FaceFilter(
                personIDs: maybe([(0..<10).map { "person \($0)" }, ["person 3", "person 4", "person 3"]]),
                externalImageIDs: maybe([["ab"], ["a", "ab", "b", "c"]]),
                attributes: maybe([["day": "3"], ["day": "4", "gate": "south"]]) ?? [:],
                createdFrom: maybe([Timestamp(milliseconds: 50)]),
                createdBefore: maybe([Timestamp(milliseconds: 90)])
            )
        }
    }

    private mutating func deletion() -> WriteBatch {
        let count = Int.random(in: 0...60, using: &source.generator)
        let ids = (0..<count).map { _ in FaceID(Int.random(in: 0..<Self.idCount, using: &source.generator)) }
        return WriteBatch(key: fixture.nextKey(), operation: .delete(ids + ids.prefix(1)))
    }

    mutating func check(_ comment: String) throws {
        let partition = fixture.partition
        #expect(try partition.statistics().faceCount == UInt64(model.faces.count), "\(comment)")
        #expect(partition.committedSequence == model.sequence, "\(comment)")
        try checkFaces(comment)
        try checkPages(comment)
        try checkSearches(comment)
    }

    private mutating func checkFaces(_ comment: String) throws {
        let ids = (0..<20).map { _ in FaceID(Int.random(in: 0..<Self.idCount, using: &source.generator)) }
        let faces = try fixture.partition.faces(ids, includesEmbeddings: true)
        #expect(faces.map(\.id) == ids.filter { model.faces[$0] != nil }, "\(comment)")
        for face in faces { try expectSame(face, comment) }
    }

    private mutating func checkPages(_ comment: String) throws {
        let limit = Int.random(in: 1...400, using: &source.generator)
        let includesEmbeddings = Bool.random(using: &source.generator)
        var ids: [FaceID] = []
        while true {
            let page = try fixture.partition.page(
                after: ids.last,
                limit: limit,
                byteLimit: 1 << 16,
                includesEmbeddings: includesEmbeddings
            )
            if page.isEmpty { break }
            try #require(page.count <= limit, "\(comment)")
            if includesEmbeddings, let face = page.randomElement(using: &source.generator) {
                try expectSame(face, comment)
            }
            ids.append(contentsOf: page.map(\.id))
        }
        #expect(ids == model.faces.keys.sorted(), "\(comment)")
    }

    private func expectSame(_ face: StoredFace, _ comment: String) throws {
        let expected = try #require(model.faces[face.id], "\(comment)")
        #expect(face.metadata == expected.metadata, "\(comment)")
        #expect(face.version == expected.version, "\(comment)")
        #expect(face.embedding == expected.embedding, "\(comment)")
    }

    private mutating func checkSearches(_ comment: String) throws {
        let probes = [source.embedding(), known.randomElement(using: &source.generator) ?? source.embedding()]
        let limit = [1, 3, 10, 1000].randomElement(using: &source.generator)!
        let threshold: Float? =
            Bool.random(using: &source.generator) ? nil : .random(in: -0.2...0.7, using: &source.generator)
        let excluding: FaceID? =
            Bool.random(using: &source.generator)
            ? nil : FaceID(Int.random(in: 0..<Self.idCount, using: &source.generator))
        let filter = filter()
        let rankings = probes.map {
            model.ranking(probe: $0, threshold: threshold, filter: filter, excluding: excluding, now: now)
        }
        for effort in [SearchEffort.exact, .full, .lists(1000), .lists(2), .recall(0.9), .recall(0.9999)] {
            let answer = try fixture.search(
                probes,
                limit: limit,
                threshold: threshold,
                effort: effort,
                filter: filter,
                excluding: excluding,
                now: now
            )
            let comment =
                "\(comment), \(effort), limit \(limit), threshold \(threshold ?? -2), \(String(describing: filter))"
            #expect(answer.faceCount == UInt64(model.faces.count), "\(comment)")
            #expect(answer.facesAnswered == answer.faceCount, "\(comment)")
            // Without a filter or a limit: every face of the visited lists.
            let visited =
                switch effort {
                case .exact, .full, .lists(1000): rankings
                default:
                    try fixture.search(
                        probes,
                        limit: 1000,
                        threshold: threshold,
                        effort: effort,
                        excluding: excluding,
                        now: now
                    ).found
                }
            for (probe, found) in answer.found.enumerated() {
                switch effort {
                case .exact, .full, .lists(1000):
                    #expect(found == Array(rankings[probe].prefix(limit)), "\(comment)")
                default:
                    // Some of the ranking, in its order, with its similarities.
                    let allowed = Set(rankings[probe])
                    #expect(found.allSatisfy(allowed.contains), "\(comment)")
                    #expect(found == rankings[probe].filter(Set(found).contains), "\(comment)")
                    // Top-k is complete: as many as wanted, when the visited lists have so many that pass.
                    let reachable = rankings[probe].filter(Set(visited[probe]).contains)
                    if answer.listsVisited == 0 {
                        #expect(found == Array(rankings[probe].prefix(limit)), "\(comment)")
                    } else if case .lists = effort {
                        #expect(found == Array(reachable.prefix(limit)), "\(comment)")
                    } else if threshold == nil {
                        #expect(found.count == min(limit, reachable.count), "\(comment)")
                    }
                }
            }
            for match in answer.matches.joined() {
                #expect(match.metadata == model.faces[match.faceID]?.metadata, "\(comment)")
            }
        }
    }
}
