import ClusterState
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
        #expect(!watch.isSettled(now: .milliseconds(1500)) && watch.isHearing(now: .milliseconds(1500)))
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

    /// Whose last word was half a second old when it began to stand still would be silent when it goes on.
    @Test func whoStoodStillForLessThanTheLimitWaitsForAsLong() {
        var watch = watchThatRan()
        #expect(!watch.isSettled(now: .milliseconds(11_450)))
        #expect(watch.look(now: .milliseconds(11_450)) == .milliseconds(1450))
        look(&watch, from: .milliseconds(11_700), to: .milliseconds(12_700))
        #expect(!watch.isSettled(now: .milliseconds(12_900)) && watch.isSettled(now: .milliseconds(12_901)))
        #expect(!watch.isHearing(now: .milliseconds(12_900)) && watch.isHearing(now: .milliseconds(12_901)))
    }

    /// Who was gone before is no less gone.
    @Test func standingStillExplainsNoMoreSilenceThanItsOwn() {
        var watch = watchThatRan()
        #expect(!watch.explains(.seconds(2), now: .milliseconds(10_500)))
        let silences: [(Duration, Bool)] = [
            (.milliseconds(2400), true), (.milliseconds(3600), false), (.seconds(3600), false),
        ]
        for (silence, isExplained) in silences {
            #expect(watch.explains(silence, now: .seconds(12)) == isExplained, "\(silence)")
        }
        _ = watch.look(now: .seconds(12))
        for (silence, isExplained) in silences {
            #expect(watch.explains(silence, now: .seconds(12)) == isExplained, "\(silence)")
        }
        // A second time before all can have been heard again.
        #expect(watch.look(now: .seconds(13)) == .seconds(1))
        #expect(watch.explains(.milliseconds(4400), now: .seconds(13)))
        #expect(!watch.explains(.milliseconds(4600), now: .seconds(13)))
        look(&watch, from: .milliseconds(13_250), to: .milliseconds(14_500))
        #expect(!watch.explains(.seconds(2), now: .milliseconds(14_501)))
        // And one that is longer than what was left of the first.
        var other = watchThatRan()
        #expect(other.look(now: .seconds(12)) != nil)
        #expect(other.explains(.milliseconds(5400), now: .seconds(14)))
        #expect(other.look(now: .seconds(14)) == .seconds(2))
        #expect(other.explains(.milliseconds(5400), now: .seconds(14)))
        #expect(!other.explains(.milliseconds(5600), now: .seconds(14)))
    }

    @Test func aLookThatIsALittleLateIsNoPause() {
        var watch = watchThatRan()
        #expect(watch.isSettled(now: .milliseconds(10_750)))
        #expect(watch.look(now: .milliseconds(10_750)) == nil)
        #expect(watch.start == .zero && watch.isSettled(now: .milliseconds(11_500)))
        #expect(watch.look(now: .milliseconds(11_501)) == .milliseconds(751))
        // One that looks seldom is not taken for one that stands still.
        var seldom = SilenceWatch(silenceLimit: .milliseconds(200), interval: .milliseconds(250))
        #expect(seldom.look(now: .seconds(1)) == nil)
        #expect(seldom.look(now: .milliseconds(1500)) == nil)
        #expect(seldom.look(now: .milliseconds(2001)) == .milliseconds(501))
    }
}
