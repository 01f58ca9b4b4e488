/// How many calls may be under way at once, found by trial: more while calls end in time, fewer once some are late.
///
/// What a cluster serves depends on its workers, its data and the calls, and none of it is known here. But calls beyond
/// it wait, and with enough of them waiting all are answered too late, which is as much work and no use. So this is a
/// window as that of a TCP connection: up by a tenth per round trip while it is what bounds the calls, down by half of
/// the share that was late. Without clock; not thread-safe.
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
        package init(least: Int = 16, first: Int = 256, most: Int = 4096) {
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

    /// Calls that end before a window is judged, at least: one late call among few says little.
    private static let leastWindow = 32
    /// What may be late, as a share.
    private static let tolerance = 0.05
    private static let growth = 1.1

    private let bounds: Bounds
    private var exactValue: Double
    package private(set) var underWayCount = 0
    private var nextNumber: UInt64 = 0
    /// Calls that were let in before the last cut are late because of what it was made for.
    private var firstOfCut: UInt64 = 0
    /// The window ends when a call has ended that was let in after it began: it has seen what the limit does.
    private var firstOfWindow: UInt64 = 0
    private var endedCount = 0
    private var lateCount = 0
    private var peak = 0

    package init(_ bounds: Bounds = Bounds()) {
        self.bounds = bounds
        exactValue = Double(bounds.first)
    }

    package var value: Int { Int(exactValue) }

    /// - Returns: nil when as many calls are under way as may be. Every admission has to ``leave(_:isLate:)`` once.
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
    /// - Parameter isLate: too late, or so late that one behind it will be.
    package mutating func leave(_ admission: Admission, isLate: Bool) {
        underWayCount -= 1
        guard admission.number >= firstOfCut else { return }
        endedCount += 1
        if isLate { lateCount += 1 }
        guard endedCount >= Self.leastWindow, admission.number >= firstOfWindow else { return }
        let lateShare = Double(lateCount) / Double(endedCount)
        if lateShare > Self.tolerance {
            exactValue = max(Double(bounds.least), min(exactValue, Double(peak)) * (1 - lateShare / 2))
            firstOfCut = nextNumber
        } else if peak >= value {
            exactValue = min(Double(bounds.most), exactValue * Self.growth)
        }
        firstOfWindow = nextNumber
        (endedCount, lateCount, peak) = (0, 0, underWayCount)
    }
}
