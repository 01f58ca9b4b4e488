import Backups
import Dispatch
import Foundation
import Synchronization
import Testing

/// A folder as tasks use it: what it does is what the folder does, and nobody waits for it who does not want to.
@Suite struct ThreadedStoreTests {
    /// Calls of it do not end before they are let go.
    private final class StuckStore: BlockingStore {
        let reached = Mutex(0)
        let left = Mutex(0)
        let isUnlocked = Mutex(false)
        private let released = DispatchSemaphore(value: 0)
        var place: String { "stuck" }
        var hasLock: Bool { true }

        func release(_ count: Int) { for _ in 0..<count { released.signal() } }

        func put(_ name: String, _ bytes: [UInt8]) {
            reached.withLock { $0 += 1 }
            released.wait()
            left.withLock { $0 += 1 }
        }

        func get(_ name: String, limit: Int) throws(BackupError) -> [UInt8] { throw .missing(object: name) }
        func list(_ prefix: String) -> [BackupObject] { [] }
        func remove(_ name: String) {}
        func removePartial() -> Int { 0 }
        func unlock() { isUnlocked.withLock { $0 = true } }
    }

    @Test func aFolderIsTheSameToTasks() async throws {
        let folder = NSTemporaryDirectory() + "mien-backups-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        let store = try await ThreadedStore.opening(folder) { () throws(BackupError) in
            try FolderStore(folder, createsFolder: true)
        }
        #expect(store.place == folder && store.hasLock)
        try await store.lock()
        try await store.put("blocks/aa/one", [1, 2, 3])
        #expect(try await store.get("blocks/aa/one", limit: 3) == [1, 2, 3])
        let names = try await store.list(BackupName.blockPrefix).map(\.name)
        #expect(names == ["blocks/aa/one"])
        let long = await #expect(throws: BackupError.self) { try await store.get("blocks/aa/one", limit: 2) }
        #expect(long == .damaged(object: "\(folder)/blocks/aa/one", reason: "it has 3 bytes"))
        let other = try await ThreadedStore.opening(folder) { () throws(BackupError) in
            try FolderStore(folder, createsFolder: false)
        }
        let taken = await #expect(throws: BackupError.self) { try await other.lock() }
        #expect(taken == .inUse(object: folder))
        await store.unlock()
        try await other.lock()
        #expect(try await other.removePartial() == 0)
        try await other.remove("blocks/aa/one")
        let left = try await other.list(BackupName.blockPrefix)
        #expect(left == [])
        await other.unlock()
        await #expect(throws: BackupError.self) {
            try await ThreadedStore.opening(folder) { () throws(BackupError) in
                try FolderStore(folder + "/absent", createsFolder: false)
            }
        }
    }

    /// More of them than there are threads for tasks.
    @Test func callsThatDoNotEndHoldUpNoOtherTaskAndAreLeftWhenTheirsIsCancelled() async throws {
        let count = ProcessInfo.processInfo.activeProcessorCount + 2
        let stuck = StuckStore()
        let store = ThreadedStore(stuck)
        let writes = (0..<count).map { number in
            Task { () async -> BackupError? in
                do throws(BackupError) {
                    try await store.put("object-\(number)", [])
                    return nil
                } catch {
                    return error
                }
            }
        }
        while stuck.reached.withLock(\.self) < count { try await Task.sleep(for: .milliseconds(1)) }
        let other = Task { 1 }
        #expect(await other.value == 1)
        for write in writes { write.cancel() }
        for (number, write) in writes.enumerated() {
            let error = await write.value
            #expect(
                error == .storeFailed(object: "stuck/object-\(number)", reason: "it was not waited for any longer")
            )
        }
        let leftCount = stuck.left.withLock(\.self)
        #expect(leftCount == 0)
        stuck.release(count)
        while stuck.left.withLock(\.self) < count { try await Task.sleep(for: .milliseconds(1)) }
    }

    @Test func aCancelledTaskBeginsNothingButGivesTheLockBack() async throws {
        let stuck = StuckStore()
        let store = ThreadedStore(stuck)
        let task = Task { () async -> BackupError? in
            while !Task.isCancelled { await Task.yield() }
            await store.unlock()
            do throws(BackupError) {
                try await store.put("object", [])
                return nil
            } catch {
                return error
            }
        }
        task.cancel()
        let error = await task.value
        #expect(error != nil)
        while !stuck.isUnlocked.withLock(\.self) { try await Task.sleep(for: .milliseconds(1)) }
        let reachedCount = stuck.reached.withLock(\.self)
        #expect(reachedCount == 0)
    }
}
