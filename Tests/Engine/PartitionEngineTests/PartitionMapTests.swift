import FaceModel
import Foundation
import PartitionEngine
import Synchronization
import Testing

/// A partition's file is mapped anew, elsewhere, while it is searched: what was kept of the old place must be gone.
struct PartitionMapTests {
    /// What the threads of a test share.
    private final class Record: Sendable {
        let problems = Mutex<[String]>([])
        let searchCount = Atomic(0)
        let isDone = Atomic(false)
        /// What an attempt to grow came to; nil before it did, and when it failed.
        let growth = Mutex<Bool?>(nil)

        func note(_ problem: String) { problems.withLock { $0.append(problem) } }
    }

    @Test func searchesFindTheSameBeforeAndAfterTheMapHasGrown() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<900).map { _ in source.embedding() }
        try fixture.enrol((0..<900).map { FaceID($0) }, embeddings)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        try fixture.delete((0..<40).map { FaceID($0 * 7) })
        let probes = [embeddings[1], embeddings[500], embeddings[899]]
        let before = try fixture.search(probes, limit: 20).found
        let use = try fixture.partition.mapUse()
        #expect(use.mapByteCount == 1 << 30 && use.usedByteCount > 0)
        try #expect(fixture.partition.growMap(to: 1 << 32, waitingAtMost: .zero))
        try #expect(fixture.partition.mapUse().mapByteCount == 1 << 32)
        try #expect(fixture.search(probes, limit: 20).found == before)
        try fixture.enrol([FaceID(2000)], [source.embedding()])
        try fixture.settle()
        try #expect(fixture.search(probes, limit: 20).found.map(\.first) == before.map(\.first))
        try #expect(fixture.partition.statistics().faceCount == 861)
    }

    /// Has a thread try to give the partition more address space, and wait for ten minutes.
    private func beginGrowth(of partition: Partition, _ record: Record, _ ended: DispatchSemaphore) {
        Thread.detachNewThread {
            do {
                let isGrown = try partition.growMap(to: 1 << 32, waitingAtMost: .seconds(600))
                record.growth.withLock { $0 = isGrown }
            } catch {
                record.note("\(error)")
            }
            ended.signal()
        }
    }

    /// A verification takes minutes: who waits for it keeps searches waiting, and for nothing.
    @Test(arguments: [true, false]) func aVerificationIsNotWaitedFor(ofAll: Bool) throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<300).map { FaceID($0) }, (0..<300).map { _ in source.embedding() })
        let partition = fixture.partition
        let (record, ended) = (Record(), DispatchSemaphore(value: 0))
        var hasEnded: Bool?
        func stay() -> Bool {
            if hasEnded == nil {
                beginGrowth(of: partition, record, ended)
                hasEnded = ended.wait(timeout: .now() + 30) == .success
            }
            return false
        }
        let digest = try ofAll ? partition.verifyAll(shouldStop: stay) : partition.recomputeDigest(shouldStop: stay)
        #expect(digest?.faceCount == 300)
        #expect(hasEnded == true, "the growth waits for whoever waits for it")
        if hasEnded == false { ended.wait() }
        #expect(record.growth.withLock { $0 } == false)
        #expect(record.problems.withLock { $0 } == [])
        try #expect(partition.growMap(to: 1 << 32, waitingAtMost: .zero))
    }

    /// As an event loop wants it: what waits behind it is done before the growth has come to its end.
    @Test func aSearchThatMustNotWaitIsGivenUpWhileTheMapIsToGrow() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<300).map { _ in source.embedding() }
        try fixture.enrol((0..<300).map { FaceID($0) }, embeddings)
        let partition = fixture.partition
        let search = PartitionSearch(
            parameters: SearchParameters(matchLimit: 1, effort: .exact),
            excludedFace: nil,
            probes: EmbeddingMatrix(dimension: 64, values: embeddings[7]),
            now: Timestamp(milliseconds: 0)
        )
        let (record, ended) = (Record(), DispatchSemaphore(value: 0))
        var isGivenUp: Bool?
        // Inside of a search that the growth waits for.
        _ = try fixture.search([embeddings[0]]) {
            guard isGivenUp == nil else { return false }
            isGivenUp = false
            beginGrowth(of: partition, record, ended)
            let end = ContinuousClock.now + .seconds(60)
            do {
                while isGivenUp == false, ContinuousClock.now < end {
                    isGivenUp = try partition.searchWithoutWaiting(search, shouldStop: { false }) == nil
                }
            } catch {
                record.note("\(error)")
            }
            #expect(record.growth.withLock { $0 } == nil)
            return false
        }
        #expect(isGivenUp == true)
        #expect(ended.wait(timeout: .now() + 60) == .success)
        #expect(record.growth.withLock { $0 } == true)
        #expect(record.problems.withLock { $0 } == [])
        let answer = try partition.searchWithoutWaiting(search, shouldStop: { false })
        #expect(answer?.matches[0].first?.faceID == FaceID(7))
    }

    @Test func searchesOnOtherThreadsGoOnWhileTheMapGrows() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<600).map { _ in source.embedding() }
        try fixture.enrol((0..<600).map { FaceID($0) }, embeddings)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        let partition = fixture.partition
        let record = Record()
        let ended = DispatchSemaphore(value: 0)
        for thread in 0..<3 {
            Thread.detachNewThread {
                var index = thread
                do {
                    while !record.isDone.load(ordering: .relaxed) {
                        index = (index + 7) % 600
                        let search = PartitionSearch(
                            parameters: SearchParameters(matchLimit: 1, effort: .exact),
                            excludedFace: nil,
                            probes: EmbeddingMatrix(dimension: 64, values: embeddings[index]),
                            now: Timestamp(milliseconds: 0)
                        )
                        let found = try partition.search(search, shouldStop: { false }).matches[0].first?.faceID
                        if found != FaceID(index) { record.note("face \(index) is not found") }
                        record.searchCount.add(1, ordering: .relaxed)
                    }
                } catch {
                    record.note("\(error)")
                }
                ended.signal()
            }
        }
        defer {
            record.isDone.store(true, ordering: .relaxed)
            for _ in 0..<3 { ended.wait() }
        }
        var byteCount = 1 << 30
        for round in 0..<60 {
            byteCount += 1 << 26
            while try !partition.growMap(to: byteCount, waitingAtMost: .milliseconds(20)) {}
            if round % 10 == 0 { try fixture.enrol([FaceID(1000 + round)], [source.embedding()]) }
        }
        let searchCount = record.searchCount.load(ordering: .relaxed)
        #expect(record.problems.withLock { $0 } == [])
        #expect(searchCount > 60)
    }
}
