import NIOCore
import Testing
import WireTransport

struct ConnectionWatchTests {
    private let start = NIODeadline.uptimeNanoseconds(1)

    private func watch() -> ConnectionWatch {
        ConnectionWatch(
            Fixture.configuration {
                $0.frameTimeout = .seconds(10)
                $0.idleTimeout = .seconds(300)
                $0.slowReaderTimeout = .seconds(30)
            },
            now: start
        )
    }

    private func at(_ seconds: Int64) -> NIODeadline { start + .seconds(seconds) }

    private func check(
        _ watch: inout ConnectionWatch,
        at seconds: Int64,
        isWritable: Bool = true,
        taken: Int = 0,
        isIdle: Bool = true
    ) -> Bool {
        watch.check(now: at(seconds), isWritable: isWritable, takenByteCount: taken, isIdle: isIdle) != nil
    }

    @Test func aFrameMayTakeTenSecondsAndOneMorePer64KiB() {
        var watch = watch()
        watch.bytesRead(now: at(0), frameCount: 0, unfinishedByteCount: 32)
        watch.bytesRead(now: at(9), frameCount: 0, unfinishedByteCount: 32 + 10 * 65_536)
        #expect(!check(&watch, at: 20))
        #expect(check(&watch, at: 21))
        watch.bytesRead(now: at(21), frameCount: 1, unfinishedByteCount: 32)
        #expect(!check(&watch, at: 31))
        #expect(check(&watch, at: 32))
        watch.bytesRead(now: at(32), frameCount: 1, unfinishedByteCount: nil)
        #expect(!check(&watch, at: 300))
    }

    @Test func idlenessCountsOnlyWithoutCalls() {
        var watch = watch()
        #expect(!check(&watch, at: 300))
        #expect(!check(&watch, at: 301, isIdle: false))
        #expect(check(&watch, at: 301))
    }

    @Test func aReaderMustTakeAMebibyteEveryThirtySeconds() {
        var watch = watch()
        #expect(!check(&watch, at: 0, isWritable: false, taken: 1000))
        #expect(!check(&watch, at: 29, isWritable: false, taken: 1000))
        #expect(!check(&watch, at: 30, isWritable: false, taken: 1000 + 1 << 20))
        #expect(!check(&watch, at: 59, isWritable: false, taken: 1000 + 1 << 20))
        #expect(check(&watch, at: 60, isWritable: false, taken: 1000 + 2 << 20 - 1))
    }

    @Test func aReaderThatHasCaughtUpBeginsAnew() {
        var watch = watch()
        #expect(!check(&watch, at: 0, isWritable: false))
        #expect(!check(&watch, at: 20))
        #expect(!check(&watch, at: 40, isWritable: false))
        #expect(!check(&watch, at: 69, isWritable: false))
        #expect(check(&watch, at: 70, isWritable: false))
    }

    @Test func aFrameIsNotTimedWhileNothingIsReadFromThePeer() {
        var watch = watch()
        watch.bytesRead(now: at(0), frameCount: 0, unfinishedByteCount: 32)
        #expect(!check(&watch, at: 9, isWritable: false))
        #expect(!check(&watch, at: 18))
        #expect(check(&watch, at: 20))
    }
}
