internal import Glibc

extension Timestamp {
    /// The system's clock, which may be set ahead or back at any moment: for what outlives a process, and for people.
    /// Planners and replica machines are told the time.
    package static var wallClock: Timestamp {
        var time = timespec()
        _ = unsafe clock_gettime(CLOCK_REALTIME, &time)
        return Timestamp(milliseconds: Int64(time.tv_sec) * 1000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
