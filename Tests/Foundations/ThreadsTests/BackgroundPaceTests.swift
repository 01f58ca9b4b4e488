import Testing
import Threads

struct BackgroundPaceTests {
    @Test(arguments: [(100, 0), (50, 300), (25, 900), (1, 29_700)])
    func restsAreInProportionToWork(percent: Int, milliseconds: Int) {
        let rest = BackgroundPace.rest(after: .milliseconds(300), processorShare: Double(percent) / 100)
        let difference = rest - Duration.milliseconds(milliseconds)
        #expect(difference > .microseconds(-10) && difference < .microseconds(10))
    }

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
        // Sleep is no work: nothing has to be rested for now.
        let again = clock.measure { _ = pace.rest { false } }
        #expect(again < first)
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
