import Backups
import Synchronization
import Testing

/// What a backup and a prune do in a place whose lock is an object, and was lost.
@Suite struct LostLockTests {
    /// A bucket in memory.
    private final class Bucket: BackupStore {
        let place = "s3://bucket/"
        let hasLock = false
        private let objects = Mutex<[String: [UInt8]]>([:])
        private let held = Mutex<StoreLock?>(nil)
        private let start = ContinuousClock.now
        private let passed = Mutex(Duration.zero)
        /// What happens behind the next listing of blocks, before it is told.
        private let interruption = Mutex<(@Sendable () -> Void)?>(nil)

        func put(_ name: String, _ bytes: [UInt8]) { objects.withLock { $0[name] = bytes } }
        func get(_ name: String, limit: Int) throws(BackupError) -> [UInt8] {
            guard let bytes = objects.withLock({ $0[name] }) else { throw .missing(object: path(of: name)) }
            return bytes
        }
        func remove(_ name: String) { objects.withLock { $0[name] = nil } }
        func removePartial() -> Int { 0 }
        func close() async {}
        func list(_ prefix: String) -> [BackupObject] {
            let listed = objects.withLock { objects in
                objects.filter { $0.key.hasPrefix(prefix) }.sorted { $0.key < $1.key }
                    .map { BackupObject(name: $0.key, byteCount: UInt64($0.value.count)) }
            }
            guard prefix == BackupName.blockPrefix else { return listed }
            let body = interruption.withLock { next in
                defer { next = nil }
                return next
            }
            body?()
            return listed
        }

        func lock() async throws(BackupError) {
            let lock = try await StoreLock.take(in: self, steadyClock: { self.start + self.passed.withLock(\.self) })
            held.withLock { $0 = lock }
        }
        func unlock() async {
            let lock = held.withLock { held in
                defer { held = nil }
                return held
            }
            await lock?.release()
        }
        func confirmLock() async throws(BackupError) { try await held.withLock(\.self)?.confirm() }

        /// As another does that takes its holder for dead.
        func loseLock() { for object in list(BackupName.lockPrefix) { remove(object.name) } }
        func pass(_ time: Duration) { passed.withLock { $0 += time } }
        func afterNextListing(_ body: @escaping @Sendable () -> Void) { interruption.withLock { $0 = body } }
    }

    /// A bucket with the blocks of a backup, and its lock.
    private static func bucket() async throws -> (bucket: Bucket, manifest: BackupManifest, blocks: [[UInt8]]) {
        let (manifest, blocks) = BackupSamples.manifest(of: BackupSamples.faces(300))
        let bucket = Bucket()
        for (block, bytes) in zip(manifest.blocks, blocks) { bucket.put(BackupName.block(block.digest), bytes) }
        try await bucket.lock()
        return (bucket, manifest, blocks)
    }

    @Test func aBackupThatLostItsLockIsNone() async throws {
        let (bucket, manifest, _) = try await Self.bucket()
        bucket.loseLock()
        await #expect(throws: BackupError.lockLost(object: bucket.place)) {
            try await bucket.put(manifest, as: BackupSamples.backup)
        }
        #expect(try await bucket.backups().isEmpty)
        await bucket.unlock()
        try await bucket.lock()
        try await bucket.put(manifest, as: BackupSamples.backup)
        #expect(try await bucket.manifest(of: BackupSamples.backup) == manifest)
    }

    /// It was there when the backup began, so that it was not written.
    @Test func aBackupOfWhichABlockHasGoneIsNone() async throws {
        let (bucket, manifest, blocks) = try await Self.bucket()
        let name = BackupName.block(manifest.blocks[1].digest)
        bucket.remove(name)
        await #expect(throws: BackupError.missing(object: bucket.path(of: name))) {
            try await bucket.put(manifest, as: BackupSamples.backup)
        }
        bucket.put(name, Array(blocks[1].dropLast()))
        let error = await #expect(throws: BackupError.self) { try await bucket.put(manifest, as: BackupSamples.backup) }
        #expect(error.map { "\($0)" }?.contains("is damaged") == true)
        #expect(try await bucket.backups().isEmpty)
        bucket.put(name, blocks[1])
        try await bucket.put(manifest, as: BackupSamples.backup)
        #expect(try await bucket.backups() == [BackupSamples.backup])
    }

    /// All blocks were listed, and one went before the manifest would have said that it is needed.
    @Test(arguments: [false, true])
    func aBackupThatLostItsLockWhileItListedIsNone(isTaken: Bool) async throws {
        let (bucket, manifest, _) = try await Self.bucket()
        let name = BackupName.block(manifest.blocks[1].digest)
        bucket.afterNextListing {
            if isTaken { bucket.loseLock() } else { bucket.pass(StoreLock.patience) }
            bucket.remove(name)
        }
        await #expect(throws: BackupError.lockLost(object: bucket.place)) {
            try await bucket.put(manifest, as: BackupSamples.backup)
        }
        #expect(try await bucket.backups().isEmpty)
        await bucket.unlock()
    }

    @Test func whatAKilledRivalLeftDisturbsNeitherABackupNorAPrune() async throws {
        let (bucket, manifest, _) = try await Self.bucket()
        bucket.put(BackupName.lockPrefix + "rival", [])
        try await bucket.put(manifest, as: BackupSamples.backup)
        try await BackupRemover(bucket).remove(BackupName.manifest(of: BackupSamples.backup))
        #expect(try await bucket.backups().isEmpty)
        await bucket.unlock()
    }

    @Test func whoLostTheLockRemovesNothing() async throws {
        let (bucket, manifest, _) = try await Self.bucket()
        let names = manifest.blocks.prefix(3).map { BackupName.block($0.digest) }
        let count = bucket.list(BackupName.blockPrefix).count
        try await BackupRemover(bucket).remove(names[0])
        bucket.loseLock()
        let remover = BackupRemover(bucket)
        for name in names[1...] {
            await #expect(throws: BackupError.lockLost(object: bucket.place)) { try await remover.remove(name) }
        }
        #expect(bucket.list(BackupName.blockPrefix).count == count - 1)
    }
}
