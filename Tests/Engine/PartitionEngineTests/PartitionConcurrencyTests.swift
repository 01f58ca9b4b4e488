import FaceModel
import Foundation
import PartitionEngine
import Synchronization
import Testing

struct PartitionConcurrencyTests {
    /// What the threads of the test share.
    private final class Record: Sendable {
        let deleted = Mutex<Set<FaceID>>([])
        let problems = Mutex<[String]>([])
        let searchCount = Atomic<Int>(0)
        let isDone = Atomic<Bool>(false)

        func note(_ problem: String) { problems.withLock { $0.append(problem) } }
    }

    /// One thread enrols, deletes and maintains without pause while others search.
    @Test func searchesAreRightWhileRowsComeGoAndMove() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let stable = (0..<300).map { _ in source.embedding() }
        try fixture.enrol((0..<300).map { FaceID($0) }, stable)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        let partition = fixture.partition
        var codebooks = try (2...40).map { try FaceSource.codebook(dimension: 64, generation: $0, listCount: 13) }
        let record = Record()
        let ended = DispatchSemaphore(value: 0)
        for thread in 0..<3 {
            Thread.detachNewThread {
                Self.search(partition, stable: stable, record: record, seed: testSeed &+ UInt64(thread))
                ended.signal()
            }
        }
        defer {
            record.isDone.store(true, ordering: .relaxed)
            for _ in 0..<3 { ended.wait() }
        }
        let clock = ContinuousClock()
        let end = clock.now + .seconds(2)
        var next = 300
        var living: [FaceID] = []
        var steps = 0
        while clock.now < end {
            let ids = (next..<next + 90).map { FaceID($0) }
            next += 90
            try fixture.enrol(ids, ids.map { _ in source.embedding() })
            living += ids
            let dead = (0..<80).compactMap { _ in
                living.isEmpty ? nil : living.remove(at: .random(in: living.indices, using: &source.generator))
            }
            try fixture.delete(dead)
            record.deleted.withLock { $0.formUnion(dead) }
            for _ in 0..<3 {
                if try partition.maintain(now: Timestamp(milliseconds: 0)) != nil { steps += 1 }
            }
            // Codebooks come and go as well.
            if try !partition.recode(), !codebooks.isEmpty {
                try partition.install(codebook: codebooks.removeFirst())
            }
        }
        record.isDone.store(true, ordering: .relaxed)
        #expect(record.problems.withLock { $0 } == [], "seed \(testSeed)")
        #expect(record.searchCount.load(ordering: .relaxed) > 20 && steps > 5)
        #expect(try partition.statistics().generation > 1)
    }

    /// The face that passes a filter is replaced without end: a search finds it as it was before or after, never in
    /// neither place.
    @Test func aFilterFindsAFaceThatIsReplacedMeanwhile() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<300).map { _ in source.embedding() }
        try fixture.enrol((0..<300).map { FaceID($0) }, embeddings)
        func replace() throws {
            try fixture.enrol([FaceID(5)], [embeddings[5]]) { _ in
                FaceMetadata(personID: "target", attributes: ["gate": "west"])
            }
        }
        try replace()
        let partition = fixture.partition
        let record = Record()
        let ended = DispatchSemaphore(value: 0)
        for thread in 0..<2 {
            Thread.detachNewThread {
                while !record.isDone.load(ordering: .relaxed) {
                    for filter in [FaceFilter(attributes: ["gate": "west"]), FaceFilter(personIDs: ["target"])] {
                        do {
                            let answer = try partition.search(
                                PartitionSearch(
                                    parameters: SearchParameters(matchLimit: 2, effort: .full, filter: filter),
                                    excludedFace: nil,
                                    probes: EmbeddingMatrix(dimension: 64, values: embeddings[thread]),
                                    now: Timestamp(milliseconds: 0)
                                ),
                                shouldStop: { false }
                            )
                            let ids = answer.matches[0].map(\.faceID)
                            if ids != [FaceID(5)] { record.note("\(filter): \(ids)") }
                        } catch {
                            record.note("\(filter): \(error)")
                        }
                        record.searchCount.add(1, ordering: .relaxed)
                    }
                }
                ended.signal()
            }
        }
        let end = ContinuousClock.now + .seconds(1)
        while ContinuousClock.now < end { try replace() }
        record.isDone.store(true, ordering: .relaxed)
        for _ in 0..<2 { ended.wait() }
        #expect(record.problems.withLock { $0 } == [])
        #expect(record.searchCount.load(ordering: .relaxed) > 20)
    }

    private static func search(_ partition: Partition, stable: [[Float]], record: Record, seed: UInt64) {
        var source = FaceSource(dimension: 64, seed: seed)
        while !record.isDone.load(ordering: .relaxed) {
            let number = Int.random(in: stable.indices, using: &source.generator)
            let effort = [SearchEffort.exact, .full, .lists(4), .recall(0.9)].randomElement(using: &source.generator)!
            let gone = record.deleted.withLock { $0 }
            do {
                let answer = try partition.search(
                    PartitionSearch(
                        parameters: SearchParameters(matchLimit: 5, effort: effort),
                        excludedFace: nil,
                        probes: EmbeddingMatrix(dimension: 64, values: stable[number]),
                        now: Timestamp(milliseconds: 0)
                    ),
                    shouldStop: { false }
                )
                let ids = answer.matches[0].map(\.faceID)
                if ids.first != FaceID(number) { record.note("\(effort) misses a face that is there") }
                if ids.count < 5 { record.note("\(effort) finds \(ids.count) of 5") }
                if !gone.isDisjoint(with: ids) { record.note("\(effort) finds a face deleted before") }
                if answer.facesAnswered != answer.faceCount { record.note("\(effort) is partial") }
                let faces = try partition.faces([FaceID(number)], includesEmbeddings: true)
                if faces.first?.embedding != stable[number].map({ Float(Float16($0)) }) {
                    record.note("the stored embedding is another")
                }
            } catch {
                record.note("\(effort): \(error)")
            }
            record.searchCount.add(1, ordering: .relaxed)
        }
    }
}
