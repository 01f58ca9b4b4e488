import NIOCore
import NIOPosix
import QueryRouter
import Testing

struct EventLoopPauseTests {
    private let eventLoop = MultiThreadedEventLoopGroup.singleton.next()

    @Test(.timeLimit(.minutes(1))) func aPauseEndsWhenItsTimeHasCome() async {
        let start = ContinuousClock.now
        await eventLoop.pause(for: .milliseconds(20))
        #expect(ContinuousClock.now - start >= .milliseconds(19))
    }

    /// Whether the cancellation comes before the pause, into its beginning or once it waits.
    @Test(.timeLimit(.minutes(1)), arguments: 0..<200)
    func aPauseEndsWithItsTask(number: Int) async {
        let task = Task { [eventLoop] in
            if number % 2 == 0 { await Task.yield() }
            await eventLoop.pause(for: .seconds(3600))
            return Task.isCancelled
        }
        for _ in 0..<number % 20 { await Task.yield() }
        task.cancel()
        let wasCancelled = await task.value
        #expect(wasCancelled)
    }
}
