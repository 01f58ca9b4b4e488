import Testing
import Threads

struct BackgroundPaceTests {
    /// The rest is at least as long as the processor time before it, on a machine however busy.
    @Test func halfAProcessorRestsAsLongAsItWorks() {
        var pace = BackgroundPace(processorShare: 0.5)
        let clock = ContinuousClock()
        var sum = 0.0
        for step in 0..<2_000_000 { sum += Double(step).squareRoot() }
        let working = clock.now
        let stops = pace.rest { sum < 0 }
        let first = clock.now - working
        #expect(!stops && first > .microseconds(500))
    }

    @Test func aStopCutsTheRestShort() {
        var pace = BackgroundPace(processorShare: 0.01)
        var sum = 0.0
        for step in 0..<2_000_000 { sum += Double(step).squareRoot() }
        var asked = 0
        let time = ContinuousClock().measure {
            let stops = pace.rest {
                asked += 1
                return asked > 2 || sum < 0
            }
            #expect(stops)
        }
        // A hundred times the work, were it not for the stop.
        #expect(time < .seconds(5) && asked >= 3)
    }
}

struct DividedProcessorShareTests {
    @Test func everyoneWhoWorksHasAsMuch() {
        let share = DividedProcessorShare(0.5)
        #expect(share.each == 0.5)
        share.working {
            #expect(share.each == 0.5)
            share.working { #expect(share.each == 0.25) }
            #expect(share.each == 0.5)
        }
    }

    /// What others work does not make a rest longer than their number does.
    @Test func aRestIsInProportionToOwnWork() {
        let share = DividedProcessorShare(0.5)
        var pace = BackgroundPace(of: share)
        var sum = 0.0
        share.working {
            share.working {
                for step in 0..<2_000_000 { sum += Double(step).squareRoot() }
                let work = ContinuousClock.now
                #expect(!pace.rest { sum < 0 })
                #expect(ContinuousClock.now - work > .milliseconds(1))
            }
        }
    }
}

struct SharedBackgroundPaceTests {
    private let start = ContinuousClock.now

    private func at(_ milliseconds: Int) -> ContinuousClock.Instant { start + .milliseconds(milliseconds) }

    private func isNear(_ rest: Duration, milliseconds: Int) -> Bool {
        let difference = rest - .milliseconds(milliseconds)
        return difference > .microseconds(-10) && difference < .microseconds(10)
    }

    @Test(arguments: [(100, 0), (50, 300), (25, 900), (1, 29_700)])
    func restsAreInProportionToWork(percent: Int, milliseconds: Int) {
        let pace = SharedBackgroundPace(processorShare: Double(percent) / 100)
        #expect(isNear(pace.rest(after: .milliseconds(300), now: at(300)), milliseconds: milliseconds))
    }

    /// Two threads that work at once rest for each other's work as well.
    @Test func threadsShareTheShare() {
        let pace = SharedBackgroundPace(processorShare: 0.5)
        #expect(isNear(pace.rest(after: .milliseconds(100), now: at(100)), milliseconds: 100))
        #expect(isNear(pace.rest(after: .milliseconds(100), now: at(100)), milliseconds: 300))
        // After a time without work nothing is left of it.
        #expect(isNear(pace.rest(after: .milliseconds(10), now: at(1000)), milliseconds: 10))
    }

    /// One that does not rest costs the others half a minute at most.
    @Test func whatWasDoneWithoutARestIsForgotten() {
        let pace = SharedBackgroundPace(processorShare: 0.1)
        for second in 1...100 { _ = pace.rest(after: .seconds(1), now: at(1000 * second)) }
        #expect(isNear(pace.rest(after: .milliseconds(1), now: at(100_000)), milliseconds: 30_000))
    }

    /// However many threads take turns, and however long their steps, they do not work for more than their share.
    @Test func manyThreadsKeepToTheShare() {
        var random = SystemRandomNumberGenerator()
        let pace = SharedBackgroundPace(processorShare: 0.25)
        var wakes = [Int](repeating: 0, count: 7)
        var work = 0
        while let thread = wakes.indices.min(by: { wakes[$0] < wakes[$1] }), wakes[thread] < 100_000 {
            let step = Int.random(in: 1...40, using: &random)
            work += step
            let end = wakes[thread] + step
            let rest = pace.rest(after: .milliseconds(step), now: at(end))
            wakes[thread] = end + Int(rest / .milliseconds(1)) + 1
        }
        #expect(work <= 25_000 + 7 * 40, "\(work) ms of 100 s")
        #expect(work > 20_000, "\(work) ms of 100 s")
    }
}
