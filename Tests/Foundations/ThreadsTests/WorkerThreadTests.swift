import Dispatch
import Foundation
import Glibc
import Synchronization
import Testing
import Threads

struct WorkerThreadTests {
    private static func nice() -> Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }

    /// What a thread of this priority, started by the calling one, finds of itself, and of a thread that it starts.
    private static func found(_ priority: WorkerThread.Priority) -> (own: Int32, inner: Int32) {
        let (own, inner) = (Cell(), Cell())
        let thread = WorkerThread(name: "outer", priority: priority) {
            own.value.store(nice(), ordering: .relaxed)
            let thread = WorkerThread(name: "inner") { inner.value.store(nice(), ordering: .relaxed) }
            thread.join()
        }
        thread.join()
        return (own.value.load(ordering: .relaxed), inner.value.load(ordering: .relaxed))
    }

    /// Searches before writes, both before what can wait. Threads that one of these starts are as it is.
    @Test(arguments: [(WorkerThread.Priority.normal, Int32(0)), (.writing, 5), (.background, 15)])
    func aThreadYieldsByItsPriority(priority: WorkerThread.Priority, least: Int32) {
        let caller = Self.nice()
        let found = Self.found(priority)
        #expect(found.own == max(caller, least) && found.inner == found.own)
    }

    @Test func aTaskIsWokenByAThreadThatDoesNotYield() async {
        for number in 0..<50 {
            let result = await WorkerThread.run(name: "background", priority: .background) { number }
            #expect(result == number)
        }
    }

    @Test func aTaskThatIsCancelledLeavesAThreadThatDoesNotEnd() async {
        let released = DispatchSemaphore(value: 0)
        let (isReached, isDone) = (OneWayFlag(), OneWayFlag())
        let task = Task {
            await WorkerThread.runUntilCancelled(name: "stuck") { () -> Int in
                isReached.set()
                released.wait()
                isDone.set()
                return 1
            }
        }
        while !isReached.isSet { await Task.yield() }
        task.cancel()
        let result = await task.value
        #expect(result == nil && !isDone.isSet)
        released.signal()
        // The thread goes on by itself.
        while !isDone.isSet { await Task.yield() }
    }

    @Test func aTaskThatIsNotCancelledHearsWhatCameOfIt() async {
        for number in 0..<50 {
            let result = await WorkerThread.runUntilCancelled(name: "quick") { number }
            #expect(result == number)
        }
    }

    @Test func whatACancelledTaskWantsDoneIsDone() async {
        let isDone = OneWayFlag()
        let task = Task {
            while !Task.isCancelled { await Task.yield() }
            return await WorkerThread.runUntilCancelled(name: "late") { isDone.set() } != nil
        }
        task.cancel()
        let isHeard = await task.value
        #expect(!isHeard)
        while !isDone.isSet { await Task.yield() }
    }

    private final class Cell: Sendable {
        let value = Atomic<Int32>(.min)
    }
}

struct ThreadSourceTests {
    @Test func aThreadThatIsRefusedRunsNothing() throws {
        let source = ThreadSource { name in name != "refused" }
        #expect(throws: ThreadRefusal.self) { try source.start(name: "refused") { Issue.record("it ran") } }
        #expect(throws: ThreadRefusal.self) { try source.reserve(name: "refused", priority: .normal) }
        let isDone = OneWayFlag()
        try source.start(name: "taken") { isDone.set() }.join()
        #expect(isDone.isSet)
    }

    @Test func sparesAreThoseThatThereAre() throws {
        let source = ThreadSource { name in name != "spare" }
        #expect(throws: ThreadRefusal.self) { try source.checkLeft(1) }
        try source.checkLeft(0)
        #expect(source.reserveSpares(3).isEmpty)
        try ThreadSource().checkLeft(3)
        #expect(ThreadSource().reserveSpares(3).count == 3)
    }

    /// Whether this process has a thread of that name.
    private static func isThere(_ name: String) throws -> Bool {
        try FileManager.default.contentsOfDirectory(atPath: "/proc/self/task").contains { thread in
            (try? String(contentsOfFile: "/proc/self/task/\(thread)/comm", encoding: .utf8)) == "\(name)\n"
        }
    }

    @Test func aReservedThreadRunsWhatItIsGivenOrNothing() async throws {
        let isDone = OneWayFlag()
        let reserved = try ThreadSource().reserve(name: "reserved", priority: .normal)
        reserved.begin { isDone.set() }.join()
        #expect(isDone.isSet)
        // One that is given nothing ends.
        for _ in 0..<100 { _ = try ThreadSource().reserve(name: "unused", priority: .background) }
        let end = ContinuousClock.now + .seconds(30)
        while try Self.isThere("unused"), ContinuousClock.now < end { try await Task.sleep(for: .milliseconds(20)) }
        #expect(try !Self.isThere("unused"))
    }
}
