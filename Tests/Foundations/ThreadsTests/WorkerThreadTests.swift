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

    private final class Cell: Sendable {
        let value = Atomic<Int32>(.min)
    }
}
