import Backups
import FaceModel
import Synchronization
import Testing

@Suite struct StoreLockTests {
    /// A bucket in memory with a clock that is set by hand.
    private final class Bucket: BackupStore {
        let place = "s3://bucket/"
        let hasLock = false
        let now = Mutex<Int64>(1_000_000_000)
        let objects = Mutex<[String: Int64]>([:])

        func put(_ name: String, _ bytes: [UInt8]) { objects.withLock { $0[name] = now.withLock { $0 } } }
        func get(_ name: String, limit: Int) throws(BackupError) -> [UInt8] { throw .missing(object: name) }
        func remove(_ name: String) { objects.withLock { $0[name] = nil } }
        func removePartial() -> Int { 0 }
        func close() async {}
        func lock() async throws(BackupError) {}
        func unlock() async {}
        func list(_ prefix: String) -> [BackupObject] {
            objects.withLock { objects in
                objects.sorted { $0.key < $1.key }.filter { $0.key.hasPrefix(prefix) }.map {
                    BackupObject(name: $0.key, byteCount: 1, modified: Timestamp(milliseconds: $0.value))
                }
            }
        }

        func pass(_ time: Duration) { now.withLock { $0 += time.components.seconds * 1000 } }
        var names: [String] { objects.withLock { $0.keys.sorted() } }
    }

    @Test func onlyOneHoldsIt() async throws {
        let bucket = Bucket()
        let first = try await StoreLock.take(in: bucket)
        await #expect(throws: BackupError.inUse(object: bucket.place)) { try await StoreLock.take(in: bucket) }
        #expect(bucket.names.count == 1, "who was refused leaves nothing")
        await first.release()
        let second = try await StoreLock.take(in: bucket)
        await second.release()
        #expect(bucket.names.isEmpty)
    }

    @Test func whatIsWrittenAgainStaysAndADeadOnesGoes() async throws {
        let bucket = Bucket()
        let first = try await StoreLock.take(in: bucket)
        bucket.pass(StoreLock.patience)
        try await first.renew()
        bucket.pass(StoreLock.patience)
        await #expect(throws: BackupError.inUse(object: bucket.place)) { try await StoreLock.take(in: bucket) }
        bucket.pass(.seconds(1))
        let second = try await StoreLock.take(in: bucket)
        #expect(bucket.names.count == 1)
        await second.release()
    }
}
