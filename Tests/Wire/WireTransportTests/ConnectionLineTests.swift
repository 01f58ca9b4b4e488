import NIOCore
import Testing
import WireTransport

/// Who gives way when there are many connections.
struct ConnectionLineTests {
    private let start = NIODeadline.uptimeNanoseconds(1_000_000_000)

    @Test func theOldestGivesWayOnceItHasHadItsTime() {
        var line = ConnectionLine<Int>(limit: 2, bound: 4, patience: .seconds(1))
        #expect(line.add(1, now: start) == nil)
        #expect(line.add(2, now: start + .milliseconds(500)) == nil)
        #expect(line.add(3, now: start + .milliseconds(999)) == nil)
        #expect(line.add(4, now: start + .milliseconds(1000)) == 1)
        #expect(line.add(5, now: start + .milliseconds(1001)) == nil)
        #expect(line.add(6, now: start + .milliseconds(1002)) == 2)
    }

    @Test func beyondTheBoundTheFirstGoesAllTheSame() {
        var line = ConnectionLine<Int>(limit: 2, bound: 4, patience: .seconds(600))
        for id in 1...4 {
            #expect(line.add(id, now: start) == nil)
            line.note(id, isBusy: true)
        }
        #expect(line.add(5, now: start) == 1)
        #expect(line.add(6, now: start) == 2)
    }

    /// As a scrape under way is, while strangers come.
    @Test func whoHasARequestUnderWayIsPassedOver() {
        var line = ConnectionLine<Int>(limit: 2, bound: 100, patience: .seconds(1))
        for id in 1...3 { #expect(line.add(id, now: start) == nil) }
        line.note(1, isBusy: true)
        line.note(2, isBusy: true)
        let later = start + .seconds(1)
        // Nor do they take any of the places.
        #expect(line.add(4, now: later) == nil)
        #expect(line.add(5, now: later) == 3)
        // It has asked again and again, and is the oldest all the same.
        line.note(2, isBusy: false)
        #expect(line.add(6, now: later) == 2)
        line.note(1, isBusy: false)
        line.remove(1)
        #expect(line.add(7, now: later + .milliseconds(1)) == nil)
    }
}
