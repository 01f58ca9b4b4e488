import Foundation

/// CPU time of the process and time on the wall, between two moments.
struct CPUClock {
    struct Lap: CustomStringConvertible {
        var cpu: Duration
        var wall: Duration

        var description: String { "\(NumberText.duration(wall)), \(NumberText.duration(cpu)) of CPU time" }
    }

    /// CPU time of this thread so far.
    static var ofThisThread: Duration { time(CLOCK_THREAD_CPUTIME_ID) }

    private var cpu = Self.time(CLOCK_PROCESS_CPUTIME_ID)
    private var wall = ContinuousClock.now

    mutating func lap() -> Lap {
        let (newCPU, newWall) = (Self.time(CLOCK_PROCESS_CPUTIME_ID), ContinuousClock.now)
        defer { (cpu, wall) = (newCPU, newWall) }
        return Lap(cpu: newCPU - cpu, wall: newWall - wall)
    }

    private static func time(_ clock: clockid_t) -> Duration {
        var time = timespec()
        unsafe clock_gettime(clock, &time)
        return .seconds(time.tv_sec) + .nanoseconds(time.tv_nsec)
    }
}
