import FaceModel
import Testing
import WorkerService

@Suite struct ArchiveWatchTests {
    private static func time(_ milliseconds: Int64) -> Timestamp { Timestamp(milliseconds: milliseconds) }

    @Test func marksAreMadeOnceSomebodyAsked() {
        var watch = ArchiveWatch()
        #expect(watch.begin(now: Self.time(5)) == nil)
        watch.asked(after: nil, now: .now)
        #expect(watch.begin(now: Self.time(5)) == Self.time(5))
        watch.ordered(at: 11)
        // A clock that is put back does not take the marks along.
        #expect(watch.begin(now: Self.time(3)) == Self.time(5))
    }

    @Test func everythingIsThereUntilJustBeforeWhatIsUnderWay() {
        var watch = ArchiveWatch()
        watch.asked(after: nil, now: .now)
        #expect(watch.until(now: Self.time(100), applied: 10, last: 10) == Self.time(100))
        _ = watch.begin(now: Self.time(110))
        #expect(watch.until(now: Self.time(120), applied: 10, last: 10) == Self.time(109))
        watch.ordered(at: 11)
        #expect(watch.until(now: Self.time(130), applied: 10, last: 13) == Self.time(109))
        // Applied in part: what the mark stands before is not all there.
        #expect(watch.until(now: Self.time(130), applied: 12, last: 13) == Self.time(109))
        _ = watch.begin(now: Self.time(140))
        watch.ordered(at: 14)
        #expect(watch.until(now: Self.time(150), applied: 12, last: 15) == Self.time(109))
        #expect(watch.until(now: Self.time(150), applied: 13, last: 15) == Self.time(139))
        #expect(watch.until(now: Self.time(150), applied: 15, last: 15) == Self.time(150))
        // A mark that did not come into the log leaves nothing behind.
        _ = watch.begin(now: Self.time(160))
        watch.ordered(at: nil)
        #expect(watch.until(now: Self.time(170), applied: 15, last: 15) == Self.time(170))
    }

    @Test func nothingIsKnownOfEntriesFromBeforeTheMarks() {
        var watch = ArchiveWatch()
        watch.asked(after: nil, now: .now)
        #expect(watch.until(now: Self.time(100), applied: 9, last: 10) == nil)
        _ = watch.begin(now: Self.time(110))
        watch.ordered(at: 11)
        #expect(watch.until(now: Self.time(120), applied: 9, last: 12) == nil)
        #expect(watch.until(now: Self.time(120), applied: 10, last: 12) == Self.time(109))
    }

    @Test func whatIsNotArchivedIsWantedAsLongAsSomebodyAsks() {
        var watch = ArchiveWatch()
        let now = ContinuousClock.now
        #expect(watch.wanted(now: now) == nil)
        watch.asked(after: 7, now: now)
        #expect(watch.wanted(now: now + .seconds(3599)) == 7)
        #expect(watch.wanted(now: now + .seconds(3600)) == nil)
        #expect(watch.isOn)
    }
}
