import LoadGenerator
import Testing

@Suite struct ArrivalScheduleTests {
    @Test func constantArrivalsDoNotDrift() {
        var schedule = ArrivalSchedule(ratePerSecond: 3, process: .constant, seed: 1)
        let times = (0..<3_000_001).map { _ in schedule.next() }
        #expect(times[0] == .zero)
        #expect(times[1] == .nanoseconds(333_333_333))
        #expect(times[3] == .seconds(1))
        #expect(times[3_000_000] == .seconds(1_000_000))
    }

    @Test func aPhaseMovesConstantArrivals() {
        var schedule = ArrivalSchedule(ratePerSecond: 10, process: .constant, seed: 1, phase: 0.25)
        #expect(schedule.next() == .milliseconds(25))
        #expect(schedule.next() == .milliseconds(125))
    }

    @Test(arguments: [1e-9, 1e-300, Double.leastNonzeroMagnitude])
    func arrivalsOfNextToNoRateAreBehindTheEndOfEveryLoad(rate: Double) {
        for process in ArrivalProcess.allCases {
            var schedule = ArrivalSchedule(ratePerSecond: rate, process: process, seed: 1, phase: 0.5)
            let times = (0..<3).map { _ in schedule.next() }
            #expect(times == times.sorted(), "\(process)")
            #expect(times[2] > .seconds(86_400 * 14), "\(process)")
        }
    }

    @Test func poissonArrivalsHaveTheRateAndTheSpreadOfIndependentOnes() {
        var schedule = ArrivalSchedule(ratePerSecond: 1000, process: .poisson, seed: 7)
        let count = 100_000
        var last = Duration.zero
        var sum = 0.0
        var squares = 0.0
        for _ in 0..<count {
            let next = schedule.next()
            #expect(next >= last)
            let gap = (next - last) / .seconds(1)
            sum += gap
            squares += gap * gap
            last = next
        }
        let mean = sum / Double(count)
        let deviation = (squares / Double(count) - mean * mean).squareRoot()
        // Four standard errors of the mean of 100 000 exponential gaps.
        #expect(abs(mean - 0.001) < 0.001 * 4 / Double(count).squareRoot())
        #expect(abs(deviation / mean - 1) < 0.02)
    }

    @Test func equalSeedsGiveEqualTimes() {
        var first = ArrivalSchedule(ratePerSecond: 50, process: .poisson, seed: 3)
        var same = ArrivalSchedule(ratePerSecond: 50, process: .poisson, seed: 3)
        var other = ArrivalSchedule(ratePerSecond: 50, process: .poisson, seed: 4)
        let times = (0..<100).map { _ in first.next() }
        #expect(times == (0..<100).map { _ in same.next() })
        #expect(times != (0..<100).map { _ in other.next() })
    }
}
