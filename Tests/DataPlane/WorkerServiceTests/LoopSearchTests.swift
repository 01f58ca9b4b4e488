import FaceModel
import Testing
import WireProtocol
import WorkerService

/// Searches that are answered on the event loop they came in on.
@Suite struct LoopSearchTests {
    private static let faceCount = 300

    /// A worker with faces, and a search whose answer is known.
    private func withFaces(
        _ limits: WorkerLimits,
        _ body: (WorkerHarness, ShardSearch, [FaceID]) async throws -> Void
    ) async throws {
        let folder = TemporaryFolder()
        let collection = TestCollection()
        var options = WorkerHarness.options(folder)
        options.limits = limits
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(collection.host())
            let ids = collection.ids(Self.faceCount)
            _ = try await harness.call(collection.enrol(ids))
            try await body(harness, collection.search([ids[7]], k: 3), ids)
        }
    }

    private func expectWhole(_ answer: ShardSearchAnswer, _ first: FaceID) {
        #expect(answer.matches.map(\.first?.faceID) == [first])
        #expect(answer.matches.map(\.count) == [3])
        #expect(answer.facesAnswered == UInt64(Self.faceCount))
        #expect(answer.faceCount == UInt64(Self.faceCount))
    }

    @Test func shortSearchesAreAnsweredOnTheLoop() async throws {
        var limits = WorkerLimits()
        limits.loopSearchTime = .seconds(10)
        limits.longestLoopSearch = .seconds(10)
        try await withFaces(limits) { harness, search, ids in
            expectWhole(try await harness.call(search), ids[7])
            #expect(harness.worker.loopSearchCount == 0, "nothing is known of the first one")
            try await searchUntilOneIsOnTheLoop(harness, search, ids[7])
        }
    }

    /// A loop rests after each, and other tests use the same ones: it takes some searches, not all.
    private func searchUntilOneIsOnTheLoop(
        _ harness: WorkerHarness,
        _ search: ShardSearch,
        _ first: FaceID
    ) async throws {
        for _ in 0..<1000 where harness.worker.loopSearchCount == 0 {
            expectWhole(try await harness.call(search), first)
        }
        #expect(harness.worker.loopSearchCount > 0)
    }

    @Test func longSearchesAreNot() async throws {
        var limits = WorkerLimits()
        limits.loopSearchTime = .zero
        try await withFaces(limits) { harness, search, ids in
            for _ in 0..<20 { expectWhole(try await harness.call(search), ids[7]) }
            #expect(harness.worker.loopSearchCount == 0)
        }
    }

    @Test func searchesThatOverrunBeginAgainOnAThread() async throws {
        var limits = WorkerLimits()
        limits.loopSearchTime = .seconds(10)
        limits.longestLoopSearch = .zero
        try await withFaces(limits) { harness, search, ids in
            try await searchUntilOneIsOnTheLoop(harness, search, ids[7])
        }
    }

    @Test func searchesThatComeTogetherAreAllAnswered() async throws {
        var limits = WorkerLimits()
        limits.loopSearchTime = .seconds(10)
        limits.longestLoopSearch = .seconds(10)
        try await withFaces(limits) { harness, search, ids in
            for _ in 0..<20 {
                try await withThrowingTaskGroup(of: ShardSearchAnswer.self) { group in
                    for _ in 0..<16 { group.addTask { try await harness.call(search) } }
                    for try await answer in group { expectWhole(answer, ids[7]) }
                }
            }
            #expect(harness.worker.loopSearchCount > 0)
        }
    }

    @Test func aRefusalOnTheLoopIsAnAnswer() async throws {
        var limits = WorkerLimits()
        limits.loopSearchTime = .seconds(10)
        try await withFaces(limits) { harness, search, ids in
            _ = try await harness.call(search)
            var later = search
            later.minimumSequence = 1000
            for _ in 0..<5 { #expect(try await harness.refusal(later).code == .notYet) }
        }
    }
}
