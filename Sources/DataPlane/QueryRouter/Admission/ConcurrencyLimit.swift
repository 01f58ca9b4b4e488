/// How many calls may be under way at once, found by trial: more while calls end in time, fewer once some are late.
///
/// What a cluster serves depends on its workers, its data and the calls, and none of it is known here. But calls beyond
/// it wait, and with enough of them waiting all are answered too late, which is as much work and no use. So this is a
/// window as that of a TCP connection: up by a tenth per round trip while it is what bounds the calls, down by half of
/// the share that was late, a fifth at least. A cut after which calls take as long as before is taken back: they are
/// long by nature, or their callers' time is short. Without clock; not thread-safe.
///
/// - SeeAlso: Jacobson, "Congestion avoidance and control" (1988); Alizadeh and others, "Data center TCP" (2010), for
///   the cut by the share.
package struct ConcurrencyLimit: Sendable {
    package struct Bounds: Hashable, Sendable {
        /// However late the calls are.
        package var least: Int
        package var first: Int
        package var most: Int

        /// - Precondition: 1 ≤ `least` ≤ `first` ≤ `most`.
        package init(least: Int = 4, first: Int = 256, most: Int = 4096) {
            precondition(1 <= least && least <= first && first <= most)
            self.least = least
            self.first = first
            self.most = most
        }
    }

    /// One call that was let in.
    package struct Admission: Hashable, Sendable {
        fileprivate let number: UInt64
    }

    /// How a call ended.
    package enum End: Hashable, Sendable {
        case inTime
        /// Answered, but so late that one behind it may not be.
        case late
        /// Given up, or refused by who has too much to do.
        case tooLate
    }

    /// Calls that end before a window is judged, at least: one late call among few says little.
    private static let leastWindow = 32
    /// What may be late, as a share.
    private static let tolerance = 0.05
    private static let growth = 1.1
    /// The smallest cut, so that it shows whether it helps.
    private static let cut = 0.8
    /// Windows after a cut that did not help in which late answers cut nothing, the first time and at most.
    private static let pauses = (first: 32, most: 1024)

    private let bounds: Bounds
    private var exactValue: Double
    package private(set) var underWayCount = 0
    private var nextNumber: UInt64 = 0
    /// Calls that were let in before the last cut are late because of what it was made for.
    private var firstOfCut: UInt64 = 0
    /// The window ends when a call has ended that was let in after it began: it has seen what the limit does.
    private var firstOfWindow: UInt64 = 0
    private var window = Window()
    private var peak = 0
    /// Cuts for late answers that have not shown whether they help: the limit before them, and the seconds that calls
    /// take at most if the last one does.
    private var trial: (value: Double, expected: Double)?
    private var pauseLeft = 0
    private var pauseLength = pauses.first

    private struct Window {
        var endedCount = 0
        var lateCount = 0
        var tooLateCount = 0
        /// Of all that ended, in seconds.
        var took = 0.0

        var lateShare: Double { Double(lateCount + tooLateCount) / Double(endedCount) }
    }

    package init(_ bounds: Bounds = Bounds()) {
        self.bounds = bounds
        exactValue = Double(bounds.first)
    }

    package var value: Int { Int(exactValue) }

    /// - Returns: nil when as many calls are under way as may be. Every admission has to ``leave(_:_:took:)`` once.
    package mutating func enter() -> Admission? {
        guard underWayCount < value else {
            peak = value
            return nil
        }
        underWayCount += 1
        peak = max(peak, underWayCount)
        defer { nextNumber += 1 }
        return Admission(number: nextNumber)
    }

    /// The call has ended.
    ///
    /// - Parameters:
    ///   - end: nil when it says nothing of the others.
    ///   - took: since it came.
    package mutating func leave(_ admission: Admission, _ end: End?, took: Duration) {
        underWayCount -= 1
        guard let end, admission.number >= firstOfCut else { return }
        window.endedCount += 1
        window.took += took / .seconds(1)
        switch end {
        case .inTime: break
        case .late: window.lateCount += 1
        case .tooLate: window.tooLateCount += 1
        }
        guard window.endedCount >= Self.leastWindow, admission.number >= firstOfWindow else { return }
        judge(window)
        firstOfWindow = nextNumber
        window = Window()
        peak = underWayCount
    }

    private mutating func judge(_ window: Window) {
        let mean = window.took / Double(window.endedCount)
        guard window.lateShare > Self.tolerance else {
            if trial == nil { pauseLength = Self.pauses.first }
            trial = nil
            pauseLeft = 0
            if peak >= value { exactValue = min(Double(bounds.most), exactValue * Self.growth) }
            return
        }
        // What was given up took as long as it was given, whatever the limit is: that a cut does not help shows by
        // answers alone.
        let showsHelp = window.tooLateCount <= window.lateCount
        if !showsHelp {
            trial = nil
        } else if pauseLeft > 0 {
            pauseLeft -= 1
            return
        } else if let trial, mean > trial.expected {
            // Calls take as long as before: they wait for nothing that fewer of them would leave to them.
            exactValue = max(exactValue, trial.value)
            self.trial = nil
            pauseLeft = pauseLength
            pauseLength = min(pauseLength * 2, Self.pauses.most)
            return
        }
        let before = min(exactValue, Double(peak))
        let value = max(Double(bounds.least), before * min(Self.cut, 1 - window.lateShare / 2))
        if showsHelp { trial = (trial?.value ?? exactValue, mean * (1 + value / before) / 2) }
        exactValue = value
        firstOfCut = nextNumber
    }
}
