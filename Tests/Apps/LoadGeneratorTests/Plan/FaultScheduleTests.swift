import LoadGenerator
import Testing

@Suite struct FaultScheduleTests {
    @Test func theStoryOfTheHelpIsRead() throws {
        let schedule = try FaultSchedule(FaultSchedule.example, workerCount: 3)
        #expect(
            schedule.steps == [
                .init(at: .seconds(10), action: .kill, node: .worker(2)),
                .init(at: .seconds(20), action: .start, node: .worker(2)),
                .init(at: .seconds(30), action: .stop, node: .worker(1)),
                .init(at: .seconds(35), action: .continue, node: .worker(1)),
            ]
        )
    }

    @Test func stepsAreInOrderOfTime() throws {
        let schedule = try FaultSchedule(
            "at 1m kill coordinator for 500ms; at 1.5s stop worker 1 for 2s;",
            workerCount: 1
        )
        #expect(
            schedule.steps.map(\.at) == [.milliseconds(1500), .milliseconds(3500), .seconds(60), .milliseconds(60_500)]
        )
        #expect(schedule.steps.map(\.action) == [.stop, .continue, .kill, .start])
        #expect(schedule.steps[2].node == .coordinator)
    }

    @Test(
        arguments: [
            ("", "the faults are empty"),
            ("kill worker 2", "it begins with 'at', a time, what and whom"),
            ("at 10 kill worker 2", "'10' is no time; write 500ms, 10s, 2m or 1h"),
            ("at 10s burn worker 2", "'burn' is none of kill, start, stop and continue"),
            ("at 10s kill everybody", "'everybody' is neither worker nor coordinator"),
            ("at 10s kill worker", "the worker has no number"),
            ("at 10s kill worker 4", "the workers are 1 to 3"),
            ("at 10s kill worker 0", "the workers are 1 to 3"),
            ("at 10s kill worker 2 until 20s", "'until 20s' is left over"),
            ("at 10s start worker 2 for 3s", "only a kill or a stop has an end"),
            ("at 10s start worker 2", "'start worker 2' cannot be done at 10 s: it is running then"),
            ("at 1s kill worker 2; at 2s kill worker 2", "'kill worker 2' cannot be done at 2 s: it is dead then"),
            ("at 1s stop worker 2; at 2s start worker 2", "'start worker 2' cannot be done at 2 s: it is stopped then"),
            ("at 1s kill worker 2", "worker 2 would be down at the end"),
        ]
    )
    func badSchedulesAreTold(_ text: String, _ problem: String) {
        let error = #expect(throws: LoadTextError.self) { try FaultSchedule(text, workerCount: 3) }
        #expect(error?.description.contains(problem) == true, "\(error?.description ?? "")")
    }
}
