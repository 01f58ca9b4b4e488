import ClusterController
import Testing

/// When a coordinator may take silence for absence.
struct SilenceWatchTests {
    /// Looks every 250 ms from a time up to another.
    private func look(_ watch: inout SilenceWatch, from start: Duration, to end: Duration) {
        var now = start
        while now <= end {
            #expect(watch.look(now: now) == nil)
            now += .milliseconds(250)
        }
    }

    private func watchThatRan() -> SilenceWatch {
        var watch = SilenceWatch(silenceLimit: .milliseconds(1500), interval: .milliseconds(250))
        look(&watch, from: .seconds(1), to: .seconds(10))
        return watch
    }

    @Test func silenceCountsFromTheStart() {
        var watch = SilenceWatch(silenceLimit: .milliseconds(1500), interval: .milliseconds(250))
        #expect(!watch.isSettled(now: .milliseconds(1500)))
        #expect(watch.isSettled(now: .milliseconds(1501)))
        // What was before the first look was no pause.
        #expect(watch.look(now: .seconds(20)) == nil)
        #expect(watch.start == .zero)
    }

    @Test func silenceBeforeTheLeaseWasWonDoesNotCount() {
        var watch = watchThatRan()
        watch.begin(now: .milliseconds(10_100))
        look(&watch, from: .milliseconds(10_250), to: .milliseconds(12_000))
        #expect(watch.start == .milliseconds(10_100))
        #expect(!watch.isSettled(now: .milliseconds(11_600)) && watch.isSettled(now: .milliseconds(11_601)))
    }

    /// Everybody was silent for as long.
    @Test func whoStoodStillCountsAnew() {
        var watch = watchThatRan()
        #expect(watch.isSettled(now: .milliseconds(10_700)))
        // Whoever asks first when it goes on.
        #expect(!watch.isSettled(now: .seconds(15)))
        #expect(watch.look(now: .seconds(15)) == .seconds(5))
        // Who was silent before all that still has been for that long.
        #expect(watch.start == .zero)
        look(&watch, from: .milliseconds(15_250), to: .milliseconds(16_500))
        #expect(!watch.isSettled(now: .milliseconds(16_500)) && watch.isSettled(now: .milliseconds(16_501)))
    }

    @Test func aLookThatIsALittleLateIsNoPause() {
        var watch = watchThatRan()
        #expect(watch.look(now: .milliseconds(11_500)) == nil)
        #expect(watch.start == .zero && watch.isSettled(now: .milliseconds(13_000)))
        #expect(watch.look(now: .milliseconds(13_001)) == .milliseconds(1501))
        // One that looks seldom is not taken for one that stands still.
        var seldom = SilenceWatch(silenceLimit: .milliseconds(200), interval: .milliseconds(250))
        #expect(seldom.look(now: .seconds(1)) == nil)
        #expect(seldom.look(now: .milliseconds(1500)) == nil)
        #expect(seldom.look(now: .milliseconds(2001)) == .milliseconds(501))
    }
}
