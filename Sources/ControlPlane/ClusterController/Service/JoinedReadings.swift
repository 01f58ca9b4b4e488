import Synchronization

/// Readings of all records that whoever wishes for one shares: one that begins after the wish serves it. So of any
/// number of wishes at once at most two readings come.
final class JoinedReadings: Sendable {
    private struct State {
        /// Readings begun so far.
        var begunCount: UInt64 = 0
        var isUnderWay = false
        /// Somebody wishes for one that begins after the one under way.
        var isAnotherWished = false
    }

    private let state = Mutex(State())
    /// A change for each reading that has ended.
    private let ends = ChangeSignal()

    /// Returns when a reading has ended that began after this was called, or when the task is cancelled: the reading
    /// goes on then, for the others.
    func join(_ read: @escaping @Sendable () async -> Void) async {
        let (number, begins) = state.withLock { state -> (UInt64, Bool) in
            guard !state.isUnderWay else {
                state.isAnotherWished = true
                return (state.begunCount + 1, false)
            }
            state.isUnderWay = true
            state.begunCount += 1
            return (state.begunCount, true)
        }
        if begins { Task { await self.run(read) } }
        await ends.wait(after: number - 1)
    }

    /// Reads until nobody wishes for more.
    private func run(_ read: @Sendable () async -> Void) async {
        var goesOn = true
        while goesOn {
            await read()
            goesOn = state.withLock { state in
                guard state.isAnotherWished else {
                    state.isUnderWay = false
                    return false
                }
                state.isAnotherWished = false
                state.begunCount += 1
                return true
            }
            ends.raise()
        }
    }
}
