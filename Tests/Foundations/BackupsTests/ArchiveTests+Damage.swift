import Backups
import ClusterModel
import FaceModel
import Testing

/// A folder in which something happens before an object is read.
private struct InterruptedStore: BackupStore {
    let store: FolderStore
    let beforeGet: @Sendable (String) throws(BackupError) -> Void

    var place: String { store.place }
    var hasLock: Bool { store.hasLock }

    func put(_ name: String, _ bytes: [UInt8]) async throws(BackupError) { try store.put(name, bytes) }
    func get(_ name: String, limit: Int) async throws(BackupError) -> [UInt8] {
        try beforeGet(name)
        return try store.get(name, limit: limit)
    }
    func list(_ prefix: String) async throws(BackupError) -> [BackupObject] { try store.list(prefix) }
    func remove(_ name: String) async throws(BackupError) { try store.remove(name) }
    func removePartial() async throws(BackupError) -> Int { 0 }
    func close() async {}
    func unlock() async {}
}

/// Lists that are damaged, and such as are pruned while they are read.
extension ArchiveTests {
    /// Rounds after which the second volume has some parts.
    private static let longRounds = ArchiveVolume.partLimit / 2 + 20
    private static let cluster = NodeID(high: 1, low: 2)

    private static func damage(_ name: BackupName.Volume, in store: FolderStore) throws {
        let object = BackupName.volume(name)
        var bytes = try store.get(object, limit: ArchiveVolume.longestByteCount)
        bytes[bytes.count / 2] ^= 1
        try store.put(object, bytes)
    }

    private static func book(in store: FolderStore) async throws -> (book: ArchiveBook, damage: BackupError?) {
        try await ArchiveBook.read(collection, named: "gallery", of: cluster, in: store)
    }

    /// Of one shard the log still has what follows the volume before, of the other it does not.
    @Test func theListGoesOnFromTheVolumeBeforeOneThatIsDamaged() async throws {
        try await Self.withStore { store in
            var archiver = try Self.archive(store, rounds: Self.longRounds, writesSegments: false)
            let names = try await store.volumes(of: Self.collection)
            #expect(names.map(\.number) == [1, 2])
            try Self.damage(names[1], in: store)
            await #expect(throws: BackupError.self) { try await Self.chain(store) }

            let (book, damage) = try await Self.book(in: store)
            #expect(damage != nil && book.replacesDamage && book.newest == names[1])
            #expect(!book.wasWritten(within: .max, before: Timestamp(milliseconds: 1)))
            let place = try #require(book.standing(of: Self.shards[0])?.position)
            #expect(place.sequence < archiver.places[Self.shards[0]]!.sequence)
            archiver.book = book
            let time = place.time.milliseconds
            let anew = Self.position(5000, at: time + 20, epoch: 4)
            let page = try archiver.list(
                [
                    try archiver.part(Self.shards[0], from: place, times: [time + 10, time + 20], epoch: 4),
                    archiver.start(Self.shards[1], at: anew),
                ],
                until: time + 20
            )
            #expect(page.name.number == 2 && page.name.revision == names[1].revision + 1 && page.superseded == nil)
            #expect(!archiver.book.replacesDamage)
            for _ in 0..<2 {
                let chain = try await Self.chain(store)
                #expect(chain.volumes.map(\.name.number) == [1, 2] && chain.strays == [names[1]])
                #expect(chain.gapCount == 1 && chain.lines.map(\.runs.count) == [1, 2])
                // What is written next grows the new one.
                try archiver.list([], until: time + 30)
            }
        }
    }

    /// - Parameter rounds: of one volume, or of two that are both damaged.
    @Test(arguments: [3, ArchiveVolume.partLimit / 2 + 20])
    func withoutAVolumeBeforeEveryShardBeginsAnew(rounds: Int) async throws {
        try await Self.withStore { store in
            var archiver = try Self.archive(store, rounds: rounds, writesSegments: false)
            let names = try await store.volumes(of: Self.collection)
            for name in names { try Self.damage(name, in: store) }
            let (book, damage) = try await Self.book(in: store)
            #expect(damage != nil && book.replacesDamage && book.standing(of: Self.shards[0]) == nil)
            archiver.book = book
            try archiver.list(
                Self.shards.map { archiver.start($0, at: Self.position(5000, at: 90_000, epoch: 4)) },
                until: 90_000
            )
            let chain = try await Self.chain(store)
            #expect(chain.volumes.map(\.name.number) == [names.last!.number] && chain.strays == names)
            #expect(chain.volumes[0].volume.previous == nil && chain.until == Timestamp(milliseconds: 90_000))
            let manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            #expect(
                try await chain.plan(after: manifest, to: .time(Timestamp(milliseconds: 90_000)), in: store)
                    == .failure(.backupNotCovered(shard: 0))
            )
        }
    }

    @Test func aListOfALaterFormatIsNotReplaced() async throws {
        try await Self.withStore { store in
            _ = try Self.archive(store, rounds: 3, writesSegments: false)
            let name = try #require(try await store.volumes(of: Self.collection).last)
            var bytes = try store.get(BackupName.volume(name), limit: ArchiveVolume.longestByteCount)
            bytes[4] = 9
            let later = BackupName.Volume(
                collection: Self.collection,
                number: name.number,
                revision: name.revision + 1,
                digest: BackupDigest(of: bytes)
            )
            try store.put(BackupName.volume(later), bytes)
            let error = await #expect(throws: BackupError.self) { try await Self.book(in: store) }
            #expect(error.map { "\($0)" }?.contains("has format 9") == true)
        }
    }

    /// - Parameter count: of the volumes that go when the second is read.
    @Test(arguments: [1, 2]) func aChainThatIsPrunedWhileItIsReadBeginsBehindThat(count: Int) async throws {
        try await Self.withStore { store in
            _ = try Self.archive(store, rounds: ArchiveVolume.partLimit / 2 * 3 - 2, writesSegments: false)
            let names = try await store.volumes(of: Self.collection)
            #expect(names.map(\.number) == [1, 2, 3])
            let interrupted = InterruptedStore(store: store) { (object) throws(BackupError) in
                guard object == BackupName.volume(names[1]) else { return }
                for name in names.prefix(count) { try store.remove(BackupName.volume(name)) }
            }
            let chain = try #require(try await ArchiveChain.read(Self.collection, in: interrupted))
            #expect(chain.volumes.map(\.name.number) == (count == 1 ? [2, 3] : [3]))
        }
    }

    @Test func aVolumeThatIsMissingInTheMiddleIsDamageThoughItWentWhileItWasRead() async throws {
        try await Self.withStore { store in
            _ = try Self.archive(store, rounds: ArchiveVolume.partLimit / 2 * 3 - 2, writesSegments: false)
            let middle = BackupName.volume(try await store.volumes(of: Self.collection)[1])
            let interrupted = InterruptedStore(store: store) { (object) throws(BackupError) in
                if object == middle { try store.remove(middle) }
            }
            await #expect(throws: BackupError.missing(object: store.path(of: middle))) {
                try await ArchiveChain.read(Self.collection, in: interrupted)
            }
        }
    }

    @Test func aBackupThatIsRemovedWhileItIsReadIsNone() async throws {
        try await Self.withStore { store in
            let object = BackupName.manifest(of: BackupSamples.backup)
            let manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            try store.put(object, manifest.encoded())
            #expect(try await store.listedManifest(of: BackupSamples.backup) == manifest)
            let interrupted = InterruptedStore(store: store) { (_) throws(BackupError) in try store.remove(object) }
            let gone = try await interrupted.listedManifest(of: BackupSamples.backup)
            #expect(gone == nil)
            try store.put(object, [1, 2, 3])
            await #expect(throws: BackupError.self) { try await store.listedManifest(of: BackupSamples.backup) }
        }
    }
}
