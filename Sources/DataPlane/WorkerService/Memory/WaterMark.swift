/// Whether so little is left of something that what takes more of it is turned away. Pure.
///
/// It begins when less than the reserve is free, and ends when half as much again is: what is freed at the mark must
/// not be taken again at once.
package struct WaterMark: Hashable, Sendable {
    package enum Change: Hashable, Sendable {
        case began
        case ended
    }

    package private(set) var isShort = false

    package init() {}

    /// Takes note of how much is free.
    ///
    /// - Returns: what has changed by it.
    package mutating func observe(free: UInt64, reserve: UInt64) -> Change? {
        if !isShort, free < reserve {
            isShort = true
            return .began
        }
        if isShort, free >= reserve + reserve / 2 {
            isShort = false
            return .ended
        }
        return nil
    }
}
