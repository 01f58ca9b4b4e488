package import NIOCore

/// The moment after which an answer is of no use. Travels as the microseconds that are left, never as a time of day.
package struct WireDeadline: Hashable, Comparable, Sendable {
    package let instant: NIODeadline

    package init(_ instant: NIODeadline) {
        self.instant = instant
    }

    /// Never passes.
    package static let none = WireDeadline(.distantFuture)

    package static func after(_ duration: Duration) -> WireDeadline {
        WireDeadline(.now() + TimeAmount(clamping: duration))
    }

    package var isNone: Bool { instant == .distantFuture }

    /// Zero once it has passed.
    package var remaining: Duration {
        max(.zero, .nanoseconds((instant - .now()).nanoseconds))
    }

    package var hasPassed: Bool { !isNone && instant <= .now() }

    package static func < (left: WireDeadline, right: WireDeadline) -> Bool { left.instant < right.instant }

    /// As a frame header states it: 0 for none, otherwise at least 1.
    var headerMicroseconds: UInt64 {
        guard !isNone else { return 0 }
        return UInt64(max(1, (instant - .now()).nanoseconds / 1000))
    }

    /// Longest time a peer's header can ask for; more is read as this.
    private static let longestMicroseconds: UInt64 = 86_400_000_000

    init(headerMicroseconds: UInt64) {
        guard headerMicroseconds > 0 else {
            self = .none
            return
        }
        self.init(.now() + .microseconds(Int64(min(headerMicroseconds, Self.longestMicroseconds))))
    }
}

extension TimeAmount {
    /// The duration, or the longest representable one.
    init(clamping duration: Duration) {
        let (seconds, attoseconds) = duration.components
        let limit: Int64 = 3_153_600_000
        self = .nanoseconds(min(max(seconds, -limit), limit) * 1_000_000_000 + attoseconds / 1_000_000_000)
    }
}
