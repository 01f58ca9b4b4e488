import QueryRouter
import Testing

struct ConcurrencyLimitTests {
    private typealias Limit = ConcurrencyLimit

    private static let bounds = Limit.Bounds(least: 4, first: 64, most: 128)

    /// Rounds in which all that may be under way is, and then ends.
    private func rounds(_ count: Int, _ limit: inout Limit, isLate: (Int) -> Bool) {
        for _ in 0..<count {
            var admissions: [Limit.Admission] = []
            while let admission = limit.enter() { admissions.append(admission) }
            #expect(admissions.count == limit.value)
            for (number, admission) in admissions.enumerated() {
                limit.leave(admission, isLate(number) ? .late : .inTime, took: .milliseconds(10 * admissions.count))
            }
            #expect(limit.underWayCount == 0)
        }
    }

    /// Takes a place if there is one.
    private func isFull(_ limit: inout Limit) -> Bool { limit.enter() == nil }

    @Test func callsBeyondTheLimitAreRefusedUntilOneEnds() {
        var limit = Limit(Self.bounds)
        let admissions = (0..<64).compactMap { _ in limit.enter() }
        #expect(admissions.count == 64)
        #expect(isFull(&limit))
        limit.leave(admissions[0], .inTime, took: .zero)
        #expect(!isFull(&limit))
        #expect(isFull(&limit))
    }

    @Test func theLimitGrowsWhileItBindsAndNobodyIsLate() {
        var limit = Limit(Self.bounds)
        rounds(2, &limit, isLate: { _ in false })
        #expect(limit.value > 64)
        rounds(30, &limit, isLate: { _ in false })
        #expect(limit.value == 128)
    }

    @Test func theLimitStaysWhileFewCallsAreUnderWay() {
        var limit = Limit(Self.bounds)
        for _ in 0..<1000 { limit.leave(limit.enter()!, .inTime, took: .zero) }
        #expect(limit.value == 64)
    }

    @Test func aFewLateCallsChangeNothing() {
        var limit = Limit(Self.bounds)
        rounds(30, &limit, isLate: { $0 % 32 == 31 })
        #expect(limit.value == 128)
    }

    /// By half of the share that is late, once for all that were let in before.
    @Test func lateCallsCutTheLimitOncePerRoundTrip() {
        var limit = Limit(Self.bounds)
        let admissions = (0..<64).map { _ in limit.enter()! }
        for admission in admissions { limit.leave(admission, .tooLate, took: .seconds(2)) }
        #expect(limit.value == 32)
        rounds(1, &limit, isLate: { $0 % 4 == 0 })
        #expect(limit.value == 25, "a quarter was late, and the least cut is a fifth")
    }

    @Test func theCutIsFromWhatWasUnderWayAndNeverBelowTheLeast() {
        var limit = Limit(Self.bounds)
        for _ in 0..<4 {
            let admissions = (0..<10).map { _ in limit.enter()! }
            for admission in admissions { limit.leave(admission, .tooLate, took: .seconds(2)) }
        }
        #expect(limit.value == 5, "ten were under way")
        rounds(40, &limit, isLate: { _ in true })
        #expect(limit.value == 4)
        rounds(300, &limit, isLate: { _ in false })
        #expect(limit.value == 128, "and it comes back")
    }

    /// Those that end soon are more, and must not hide that the others are late.
    @Test func quickCallsDoNotHideSlowOnes() {
        var limit = Limit(Self.bounds)
        var slow: [Limit.Admission] = []
        for _ in 0..<100 {
            for _ in 0..<4 { slow.append(contentsOf: limit.enter().map { [$0] } ?? []) }
            for _ in 0..<16 {
                if let quick = limit.enter() { limit.leave(quick, .inTime, took: .zero) }
            }
            while slow.count > 40 { limit.leave(slow.removeFirst(), .tooLate, took: .seconds(2)) }
        }
        #expect(limit.value < 40)
    }

    /// Where calls take what they take, and wait for nobody, fewer of them help nobody.
    @Test func aDelayThatNoCutShortensIsLeftAlone() {
        var limit = Limit(Limit.Bounds(least: 4, first: 64, most: 128))
        var refused = 0
        var taken = 0
        // 50 under way at a time, each for 110 ms; every tenth has 200 ms and is answered after more than half of it.
        var underWay: [(end: Int, isHasty: Bool, admission: Limit.Admission)] = []
        for tick in 0..<40_000 {
            while let first = underWay.first, first.end <= tick {
                underWay.removeFirst()
                limit.leave(first.admission, first.isHasty ? .late : .inTime, took: .milliseconds(110))
            }
            guard let admission = limit.enter() else {
                refused += 1
                continue
            }
            taken += 1
            underWay.append((tick + 50, tick % 10 == 0, admission))
        }
        #expect(Double(refused) < 0.02 * Double(taken), "\(refused) of \(refused + taken) refused")
        #expect(limit.value >= 50)
    }

    // MARK: A service with too much to do

    private struct Outcome {
        var answeredInTime = 0
        var refused = 0
        var late = 0
        var longest = 0.0
    }

    /// One server that takes calls in turn, and calls that come at a steady rate and have two seconds each.
    ///
    /// - Parameters:
    ///   - rate, service: calls a second that come, and that it can do.
    ///   - limit: nil takes all.
    private func serve(seconds: Int, rate: Double, service: Double, _ limit: Limit?) -> Outcome {
        let given = 2.0
        var limit = limit
        var outcome = Outcome()
        var waiting: [(begin: Double, end: Double, admission: Limit.Admission?)] = []
        var first = 0
        var isFreeAt = 0.0
        for number in 0..<Int(Double(seconds) * rate) {
            let now = Double(number) / rate
            while first < waiting.count, waiting[first].end <= now {
                let call = waiting[first]
                let took = call.end - call.begin
                first += 1
                if let admission = call.admission {
                    let end: Limit.End = took > given ? .tooLate : took * 2 >= given ? .late : .inTime
                    limit?.leave(admission, end, took: .seconds(min(took, given)))
                }
                if took <= given { outcome.answeredInTime += 1 } else { outcome.late += 1 }
                outcome.longest = max(outcome.longest, took)
            }
            let admission = limit?.enter()
            guard limit == nil || admission != nil else {
                outcome.refused += 1
                continue
            }
            isFreeAt = max(isFreeAt, now) + 1 / service
            waiting.append((now, isFreeAt, admission))
        }
        return outcome
    }

    @Test(arguments: [5.0, 20, 600, 5000]) func threeTimesWhatIsServedCostsNothingOfIt(service: Double) {
        let free = serve(seconds: 120, rate: 3 * service, service: service, nil)
        #expect(Double(free.answeredInTime) < 0.1 * 120 * service, "without a limit all but the first are too late")
        let bounded = serve(seconds: 120, rate: 3 * service, service: service, Limit())
        // A slow service takes a while to be found out: the first calls that tell end after their two seconds.
        let least = service < 10 ? 0.5 : 0.9
        #expect(Double(bounded.answeredInTime) > least * 120 * service, "\(bounded)")
        #expect(bounded.refused > 0)
        // The first limit may be too high for a slow service, and is found out once.
        #expect(Double(bounded.late) < max(300, 0.01 * Double(bounded.answeredInTime)), "\(bounded)")
    }

    @Test func lessThanWhatIsServedIsNeverRefused() {
        for service in [20.0, 600, 5000] {
            let outcome = serve(seconds: 60, rate: 0.9 * service, service: service, Limit())
            #expect(outcome.refused == 0 && outcome.late == 0)
        }
    }
}
