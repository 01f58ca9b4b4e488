import Synchronization
import Testing
import Threads

@Suite struct BoundedExecutorTests {
    /// Holds a thread until it is opened.
    private final class Gate: Sendable {
        private let isOpen = Atomic(false)
        let isReached = Atomic(false)

        func pass() {
            isReached.store(true, ordering: .sequentiallyConsistent)
            while !isOpen.load(ordering: .sequentiallyConsistent) {}
        }

        func open() { isOpen.store(true, ordering: .sequentiallyConsistent) }
    }

    private final class OrderLog: Sendable {
        private let log = Mutex<[Int]>([])

        func append(_ number: Int) { log.withLock { $0.append(number) } }

        var numbers: [Int] { log.withLock { $0 } }
    }

    private func job(
        byteCount: Int = 0,
        abandon: @escaping @Sendable () -> Void = {},
        _ run: @escaping @Sendable () -> Void
    ) -> BoundedExecutor.Job {
        BoundedExecutor.Job(byteCount: byteCount, run: run, abandon: abandon)
    }

    private func busy(queueLimit: Int, queueByteLimit: Int = .max) async throws -> (BoundedExecutor, Gate) {
        let executor = BoundedExecutor(
            name: "test",
            threadCount: 1,
            queueLimit: queueLimit,
            queueByteLimit: queueByteLimit
        )
        let gate = Gate()
        #expect(executor.submit(job { gate.pass() }))
        while !gate.isReached.load(ordering: .sequentiallyConsistent) { try await Task.sleep(for: .milliseconds(1)) }
        return (executor, gate)
    }

    @Test func jobsBeyondTheBoundAreTurnedAway() async throws {
        let (executor, gate) = try await busy(queueLimit: 2)
        #expect(executor.submit(job {}))
        #expect(executor.submit(job {}))
        #expect(!executor.submit(job {}))
        gate.open()
        executor.stop()
    }

    @Test func bytesBeyondTheBoundAreTurnedAway() async throws {
        let (executor, gate) = try await busy(queueLimit: 10, queueByteLimit: 100)
        #expect(executor.submit(job(byteCount: 1000) {}), "a large job alone may wait")
        #expect(!executor.submit(job(byteCount: 1) {}))
        gate.open()
        executor.stop()
    }

    @Test func onlyIdleThreadsHelp() async throws {
        let executor = BoundedExecutor(name: "test", threadCount: 2, queueLimit: 10)
        let (first, second, log) = (Gate(), Gate(), OrderLog())
        #expect(executor.submit(job { first.pass() }))
        while !first.isReached.load(ordering: .sequentiallyConsistent) { try await Task.sleep(for: .milliseconds(1)) }
        #expect(executor.runIfIdle { second.pass() })
        // Whether or not its thread has taken it already, it is that thread's.
        #expect(!executor.runIfIdle { log.append(1) })
        while !second.isReached.load(ordering: .sequentiallyConsistent) { try await Task.sleep(for: .milliseconds(1)) }
        #expect(!executor.runIfIdle { log.append(2) })
        second.open()
        while !executor.runIfIdle({ log.append(3) }) { try await Task.sleep(for: .milliseconds(1)) }
        first.open()
        executor.stop()
        #expect(log.numbers == [3] || log.numbers == [])
        #expect(!executor.runIfIdle { log.append(4) })
    }

    @Test func whatWaitsForAnIdleThreadRunsAfterTheOnlyOneHasFinished() async throws {
        let (executor, gate) = try await busy(queueLimit: 10)
        let log = OrderLog()
        #expect(executor.runWhenIdle(job(abandon: { log.append(-1) }) { log.append(1) }))
        // One place, and one only.
        #expect(!executor.runWhenIdle(job(abandon: { log.append(-2) }) { log.append(2) }))
        #expect(log.numbers == [])
        gate.open()
        while log.numbers.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
        #expect(log.numbers == [1])
        // An idle thread takes it at once.
        #expect(executor.runWhenIdle(job(abandon: { log.append(-3) }) { log.append(3) }))
        while log.numbers.count < 2 { try await Task.sleep(for: .milliseconds(1)) }
        executor.stop()
        #expect(log.numbers == [1, 3])
        #expect(!executor.runWhenIdle(job(abandon: { log.append(-4) }) { log.append(4) }))
        #expect(log.numbers == [1, 3])
    }

    @Test func whatWaitsForAnIdleThreadGivesWayToAJob() async throws {
        let (executor, gate) = try await busy(queueLimit: 10)
        let log = OrderLog()
        #expect(executor.runWhenIdle(job(abandon: { log.append(-1) }) { log.append(1) }))
        #expect(executor.submit(job { log.append(2) }))
        // Jobs wait.
        #expect(!executor.runWhenIdle(job(abandon: { log.append(-3) }) { log.append(3) }))
        gate.open()
        _ = await executor.run {}
        executor.stop()
        #expect(log.numbers == [-1, 2])
    }

    @Test func jobsRunInOrderOfArrival() async throws {
        let (executor, gate) = try await busy(queueLimit: 100)
        let log = OrderLog()
        for number in 0..<100 { #expect(executor.submit(job { log.append(number) })) }
        gate.open()
        _ = await executor.run {}
        executor.stop()
        #expect(log.numbers == Array(0..<100))
    }

    @Test func stoppingAbandonsWhatWaitsAndRefusesMore() async throws {
        let (executor, gate) = try await busy(queueLimit: 10)
        let log = OrderLog()
        #expect(executor.submit(job(abandon: { log.append(1) }) { log.append(2) }))
        async let stopped: Void = Self.stop(executor)
        while log.numbers.isEmpty { try await Task.sleep(for: .milliseconds(1)) }
        gate.open()
        await stopped
        #expect(log.numbers == [1])
        #expect(!executor.submit(job {}))
        #expect(await executor.run { 1 } == nil)
    }

    @concurrent private static func stop(_ executor: BoundedExecutor) async { executor.stop() }
}
