import Testing
import WorkerService

@Suite struct LaneScheduleTests {
    private let start = ContinuousClock.now

    private func rested() -> LaneSchedule {
        var schedule = LaneSchedule(rowsPerStep: 100, idleInterval: .seconds(5), now: start)
        schedule.maintained(hasMore: false, took: .zero, now: start)
        return schedule
    }

    @Test func aNewLaneLooksForMaintenanceFirst() {
        let schedule = LaneSchedule(rowsPerStep: 100, idleInterval: .seconds(5), now: start)
        #expect(schedule.next(hasWrites: false, now: start) == .maintain)
    }

    @Test func anIdleLaneRestsUntilTheIntervalEnds() {
        let schedule = rested()
        #expect(schedule.next(hasWrites: false, now: start + .seconds(1)) == .rest(until: start + .seconds(5)))
        #expect(schedule.next(hasWrites: false, now: start + .seconds(5)) == .maintain)
    }

    @Test func writesGoFirstUntilEnoughRowsMakeAStepDue() {
        var schedule = rested()
        #expect(schedule.next(hasWrites: true, now: start) == .commit)
        schedule.committed(rowCount: 99, took: .milliseconds(1))
        #expect(schedule.next(hasWrites: true, now: start) == .commit)
        schedule.committed(rowCount: 1, took: .milliseconds(1))
        #expect(schedule.next(hasWrites: true, now: start) == .maintain)
    }

    @Test func workThatCanWaitIsNotBegunBeforeItsRest() {
        var schedule = rested()
        schedule.maintained(hasMore: true, took: .zero, rest: .milliseconds(40), now: start)
        #expect(schedule.next(hasWrites: false, now: start) == .rest(until: start + .milliseconds(40)))
        #expect(schedule.next(hasWrites: true, now: start) == .commit)
        #expect(schedule.next(hasWrites: false, now: start + .milliseconds(40)) == .maintain)
        // Enough rows make a step due all the same.
        schedule.committed(rowCount: 100, took: .zero)
        #expect(schedule.next(hasWrites: true, now: start + .milliseconds(1)) == .maintain)
    }

    @Test func commitsGetAsMuchTimeAsTheStepTook() {
        var schedule = rested()
        schedule.maintained(hasMore: true, took: .milliseconds(30), now: start)
        for _ in 0..<3 {
            #expect(schedule.next(hasWrites: true, now: start) == .commit)
            schedule.committed(rowCount: 1, took: .milliseconds(10))
        }
        #expect(schedule.next(hasWrites: true, now: start) == .maintain)
        #expect(schedule.next(hasWrites: false, now: start) == .maintain)
    }
}
