import Glibc
import Synchronization
import Testing
import Threads

struct WorkerThreadTests {
    private final class Found: Sendable {
        let nice = Atomic<Int32>(.min)
    }

    private static func nice() -> Int32 { getpriority(__priority_which_t(PRIO_PROCESS.rawValue), 0) }

    /// Searches before writes, both before what can wait. Threads that one of these starts are as it is.
    @Test(arguments: [(WorkerThread.Priority.normal, Int32(0)), (.writing, 5), (.background, 15)])
    func aThreadYieldsByItsPriority(priority: WorkerThread.Priority, least: Int32) async {
        let own = Self.nice()
        let found = await WorkerThread.run(name: "nice", priority: priority) { Self.nice() }
        #expect(found == max(own, least))
        let inner = await WorkerThread.run(name: "outer", priority: priority) {
            let found = Found()
            let thread = WorkerThread(name: "inner") { found.nice.store(Self.nice(), ordering: .relaxed) }
            thread.join()
            return found.nice.load(ordering: .relaxed)
        }
        #expect(inner == found)
    }
}
