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
        private let start = ContinuousClock.now
        private let interruptions = Mutex<[Call: Interruption]>([:])

        enum Call { case put, list }
        typealias Interruption = @Sendable () async throws(BackupError) -> Void

        /// Has something happen before the next such call is carried out.
        func before(_ call: Call, _ interruption: @escaping Interruption) {
            interruptions.withLock { $0[call] = interruption }
        }

        private func interrupt(_ call: Call) async throws(BackupError) {
            let interruption = interruptions.withLock { $0.removeValue(forKey: call) }
            if let interruption { try await interruption() }
        }

        /// Takes the lock for a program whose clock is that of the bucket.
        func take() async throws(BackupError) -> StoreLock {
            try await StoreLock.take(in: self, steadyClock: { self.start + .milliseconds(self.now.withLock { $0 }) })
        }

        func put(_ name: String, _ bytes: [UInt8]) async throws(BackupError) {
            try await interrupt(.put)
            objects.withLock { $0[name] = now.withLock { $0 } }
        }
        func get(_ name: String, limit: Int) throws(BackupError) -> [UInt8] { throw .missing(object: name) }
        func remove(_ name: String) { objects.withLock { $0[name] = nil } }
        func removePartial() -> Int { 0 }
        func close() async {}
        func unlock() async {}
        func list(_ prefix: String) async throws(BackupError) -> [BackupObject] {
            try await interrupt(.list)
            return objects.withLock { objects in
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

    @Test func restoresGoTogetherWithBackupsAndNotWithPrunes() async throws {
        let bucket = Bucket()
        let taken = BackupError.inUse(object: bucket.place)
        let readers = [
            try await StoreLock.take(in: bucket, for: .reading), try await StoreLock.take(in: bucket, for: .reading),
        ]
        let writer = try await StoreLock.take(in: bucket, for: .writing)
        await #expect(throws: taken) { try await StoreLock.take(in: bucket, for: .writing) }
        await writer.release()
        for reader in readers {
            await #expect(throws: taken) { try await StoreLock.take(in: bucket, for: .pruning) }
            await reader.release()
        }
        let pruner = try await StoreLock.take(in: bucket, for: .pruning)
        for use in [StoreUse.reading, .writing, .pruning] {
            await #expect(throws: taken) { try await StoreLock.take(in: bucket, for: use) }
        }
        await pruner.release()
        #expect(bucket.names.isEmpty)
        // Of programs of before nobody knows whether they remove.
        try await bucket.put(BackupName.lockPrefix + "3f2a", [])
        await #expect(throws: taken) { try await StoreLock.take(in: bucket, for: .reading) }
    }

    @Test func whatIsWrittenAgainStaysAndADeadOnesGoes() async throws {
        let bucket = Bucket()
        let first = try await bucket.take()
        bucket.pass(StoreLock.patience - StoreLock.margin - .seconds(1))
        try await first.renew()
        bucket.pass(StoreLock.patience)
        await #expect(throws: BackupError.inUse(object: bucket.place)) { try await StoreLock.take(in: bucket) }
        bucket.pass(.seconds(1))
        let second = try await StoreLock.take(in: bucket)
        #expect(bucket.names.count == 1)
        await second.release()
    }

    /// Whoever stood still for too long does not take it back, whatever the other does meanwhile.
    @Test func whoWasTakenForDeadKnowsItForGood() async throws {
        let bucket = Bucket()
        let first = try await StoreLock.take(in: bucket)
        try await first.confirm()
        bucket.pass(StoreLock.patience + .seconds(1))
        let second = try await StoreLock.take(in: bucket)
        let names = bucket.names
        for _ in 0..<2 {
            await #expect(throws: BackupError.lockLost(object: bucket.place)) { try await first.renew() }
            await #expect(throws: BackupError.lockLost(object: bucket.place)) { try await first.confirm() }
        }
        #expect(bucket.names == names)
        try await second.confirm()
        await second.release()
        await #expect(throws: BackupError.lockLost(object: bucket.place)) { try await first.confirm() }
        await first.release()
        #expect(bucket.names.isEmpty)
    }

    /// It was refused, and did not come to take its object away.
    @Test func whatAKilledRivalLeftDisturbsNoHolder() async throws {
        let bucket = Bucket()
        let rival = BackupName.lockPrefix + "rival"
        let first = try await bucket.take()
        try await bucket.put(rival, [])
        for _ in 0..<10 {
            try await first.confirm()
            bucket.pass(StoreLock.renewalInterval)
        }
        await first.release()
        #expect(bucket.names == [rival])
        let second = try await bucket.take()
        #expect(bucket.names.count == 1 && bucket.names != [rival])
        await second.release()
    }

    /// Another took it meanwhile, and is done: nothing in the bucket shows that.
    @Test func whoStoodStillBeforeItWroteAgainHasLostIt() async throws {
        let bucket = Bucket()
        let first = try await bucket.take()
        bucket.before(.put) { () async throws(BackupError) in
            bucket.pass(StoreLock.patience + .seconds(1))
            let second = try await bucket.take()
            await second.release()
        }
        await #expect(throws: BackupError.lockLost(object: bucket.place)) { try await first.renew() }
        #expect(bucket.names.isEmpty, "what was written too late keeps nobody away")
        await #expect(throws: BackupError.lockLost(object: bucket.place)) { try await first.confirm() }
        #expect(bucket.names.isEmpty)
    }

    /// Nobody took it; but another may have seen how old it was, and remove it any moment.
    @Test func whoStoodStillAlmostTooLongHasLostIt() async throws {
        let bucket = Bucket()
        let first = try await bucket.take()
        bucket.pass(StoreLock.patience - StoreLock.margin - .seconds(1))
        try await first.confirm()
        bucket.pass(StoreLock.patience - StoreLock.margin)
        await #expect(throws: BackupError.lockLost(object: bucket.place)) { try await first.confirm() }
        await first.release()
    }

    @Test func whoseObjectIsGoneHasLostIt() async throws {
        let bucket = Bucket()
        let first = try await bucket.take()
        bucket.before(.put) { () async throws(BackupError) in
            // After it was written again.
            bucket.before(.list) { () async throws(BackupError) in
                for name in bucket.names { bucket.remove(name) }
            }
        }
        for _ in 0..<2 {
            await #expect(throws: BackupError.lockLost(object: bucket.place)) { try await first.confirm() }
        }
        #expect(bucket.names.isEmpty)
    }

    @Test func whoStoodStillWhileItTookItDoesNotHaveIt() async throws {
        let bucket = Bucket()
        bucket.before(.list) { () async throws(BackupError) in
            bucket.pass(StoreLock.patience + .seconds(1))
            let second = try await bucket.take()
            await second.release()
        }
        await #expect(throws: BackupError.lockLost(object: bucket.place)) { try await bucket.take() }
        #expect(bucket.names.isEmpty)
    }
}
