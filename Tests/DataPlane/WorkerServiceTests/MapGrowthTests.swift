import FaceModel
import PartitionEngine
import Synchronization
import Testing
import WireProtocol
import WorkerService

@Suite struct MapGrowthTests {
    private let start = ContinuousClock.now
    private let giga = 1 << 30

    private final class End: Sendable {
        private let flag = Atomic(false)
        var hasCome: Bool { flag.load(ordering: .relaxed) }
        func come() { flag.store(true, ordering: .relaxed) }
    }

    @Test func addressSpaceIsDoubledBeforeItIsUsedUp() {
        let growth = MapGrowth()
        #expect(growth.attempt(usedByteCount: 55 * giga, mapByteCount: 64 * giga, now: start) == nil)
        let attempt = growth.attempt(usedByteCount: 57 * giga, mapByteCount: 64 * giga, now: start)
        #expect(attempt?.byteCount == 128 * giga)
        // A file that is used up leaves room for more than a commit.
        let small = growth.attempt(usedByteCount: 1 << 20, mapByteCount: 1 << 20, now: start)
        #expect(small?.byteCount == 2 * giga)
    }

    @Test func anAttemptThatWasGivenUpIsRepeatedLaterAndWaitsLonger() throws {
        var growth = MapGrowth()
        func attempt(_ time: Duration) -> MapGrowth.Attempt? {
            growth.attempt(usedByteCount: giga, mapByteCount: giga, now: start + time)
        }
        let first = try #require(attempt(.zero))
        #expect(growth.isUntried)
        growth.gaveUp(now: start)
        #expect(!growth.isUntried)
        #expect(attempt(.milliseconds(999)) == nil)
        let second = try #require(attempt(.seconds(1)))
        #expect(second.patience == first.patience * 2 && second.byteCount == first.byteCount)
        for round in 1..<20 { growth.gaveUp(now: start + .seconds(round)) }
        let longest = try #require(attempt(.seconds(20)))
        #expect(longest.patience > second.patience && longest.patience < .milliseconds(500))
        growth.grew()
        #expect(growth.isUntried)
        #expect(attempt(.seconds(20))?.patience == first.patience)
    }

    @Test func thatAFileDoesNotGrowForLongIsToldOnce() {
        var growth = MapGrowth()
        for time in ["the first", "the next"] {
            var told: [Int] = []
            for number in 1...300 {
                growth.gaveUp(now: start + .seconds(number))
                if growth.isToBeTold { told.append(number) }
            }
            #expect(told == [60], "\(time)")
            growth.grew()
            #expect(!growth.isToBeTold)
        }
    }

    @Test func aWriteThatFoundNoRoomIsReasonEnough() {
        var growth = MapGrowth()
        #expect(growth.attempt(usedByteCount: giga, mapByteCount: 64 * giga, now: start) == nil)
        growth.wasFull()
        #expect(growth.attempt(usedByteCount: giga, mapByteCount: 64 * giga, now: start)?.byteCount == 128 * giga)
        growth.grew()
        #expect(growth.attempt(usedByteCount: giga, mapByteCount: 128 * giga, now: start) == nil)
    }

    /// A verification leaves then, and is begun anew by whoever wants it.
    @Test func itIsUrgentWhenHalfOfTheRoomIsUsedUpAndWhenAWriteFoundNone() {
        var growth = MapGrowth()
        func isUrgent(_ usedByteCount: Int, of mapByteCount: Int) -> Bool? {
            growth.attempt(usedByteCount: usedByteCount, mapByteCount: mapByteCount, now: start)?.isUrgent
        }
        #expect(isUrgent(56 * giga, of: 64 * giga) == nil)
        #expect(isUrgent(57 * giga, of: 64 * giga) == false)
        #expect(isUrgent(60 * giga, of: 64 * giga) == false)
        #expect(isUrgent(61 * giga, of: 64 * giga) == true)
        #expect(isUrgent(700 << 20, of: 1 << 30) == false)
        #expect(isUrgent(800 << 20, of: 1 << 30) == true)
        growth.wasFull()
        #expect(isUrgent(giga, of: 64 * giga) == true)
        growth.grew()
        #expect(isUrgent(57 * giga, of: 64 * giga) == false)
    }

    @Test func addressSpaceThatCannotBeCountedIsNotAskedFor() {
        #expect(MapGrowth().attempt(usedByteCount: .max - 1, mapByteCount: .max, now: start) == nil)
    }

    /// A partition that was opened with less address space than it needs takes what comes, and is searched meanwhile.
    @Test func aWorkersPartitionGrowsWhileItIsWrittenAndSearched() async throws {
        let folder = TemporaryFolder()
        let test = TestCollection()
        var options = WorkerHarness.options(folder)
        options.partition.mapByteCount = 2 << 20
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(12_000)
            _ = try await harness.call(test.enrol(Array(ids[..<100])))
            let end = End()
            let searchCount = try await withThrowingTaskGroup(of: Int.self) { group in
                group.addTask {
                    var count = 0
                    while !end.hasCome {
                        let answer = try await harness.call(test.search([ids[count % 100]]))
                        #expect(answer.matches[0].first?.faceID == ids[count % 100])
                        count += 1
                    }
                    return count
                }
                for first in stride(from: 100, to: ids.count, by: 1000) {
                    let batch = Array(ids[first..<min(first + 1000, ids.count)])
                    let enrolled = try await harness.call(test.enrol(batch))
                    #expect(enrolled.outcomes.allSatisfy { $0 == .accepted })
                }
                end.come()
                return try await group.reduce(0, +)
            }
            #expect(searchCount > 0)
            let answer = try await harness.call(test.search([ids[0], ids[11_999]]))
            #expect(answer.matches.map { $0.first?.faceID } == [ids[0], ids[11_999]])
            #expect(answer.faceCount == 12_000)
        }
    }
}
