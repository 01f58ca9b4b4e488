import Backups
import ClusterModel
import FaceModel
import Foundation
import Testing

/// Archived logs: their bytes, their list, and which moments they lead to.
@Suite struct ArchiveTests {
    static let shards = [
        ArchiveVolume.Shard(index: 0, range: HashRange(first: 0, last: .max / 2)),
        ArchiveVolume.Shard(index: 1, range: HashRange(first: .max / 2 + 1, last: .max)),
    ]
    static let collection = BackupSamples.collection.id

    static func withStore(_ body: (FolderStore) async throws -> Void) async throws {
        let folder = NSTemporaryDirectory() + "mien-archive-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: folder) }
        try await body(try FolderStore(folder, createsFolder: true))
    }

    static func position(_ sequence: UInt64, at time: Int64, epoch: UInt64 = 3) -> ArchivePosition {
        ArchivePosition(sequence: sequence, epoch: epoch, chain: sequence &* 77, time: Timestamp(milliseconds: time))
    }

    /// What archives a shard: entries of a few bytes, each at its time.
    struct Archiver {
        let store: FolderStore
        /// Whether there are segments, where only the list is looked at.
        var writesSegments = true
        var book = ArchiveBook(
            collection: ArchiveTests.collection,
            name: "gallery",
            cluster: NodeID(high: 1, low: 2),
            head: nil
        )
        var places: [ArchiveVolume.Shard: ArchivePosition] = [:]

        init(_ store: FolderStore) {
            self.store = store
        }

        /// Begins, or begins anew.
        func start(_ shard: ArchiveVolume.Shard, at position: ArchivePosition) -> ArchiveVolume.Part {
            .init(shard: shard, start: position, end: position, continues: false, segment: nil)
        }

        func part(
            _ shard: ArchiveVolume.Shard,
            from start: ArchivePosition,
            times: [Int64],
            epoch: UInt64 = 3
        ) throws -> ArchiveVolume.Part {
            let bytes = LogSegment(
                collection: ArchiveTests.collection,
                shardIndex: shard.index,
                firstSequence: start.sequence + 1,
                entries: times.enumerated().map { index, time in
                    ArchivedEntry(
                        time: Timestamp(milliseconds: time),
                        effect: .applied,
                        bytes: [UInt8(index), UInt8(shard.index), 7]
                    )
                }
            ).encoded()
            let digest = BackupDigest(of: bytes)
            if writesSegments { try store.put(BackupName.segment(digest), bytes) }
            return .init(
                shard: shard,
                start: start,
                end: ArchiveTests.position(start.sequence + UInt64(times.count), at: times.last!, epoch: epoch),
                continues: true,
                segment: .init(entryCount: UInt32(times.count), byteCount: UInt32(bytes.count), digest: digest)
            )
        }

        /// Adds parts to the list; of each shard, all is there until a moment.
        ///
        /// - Parameter ends: of shards that others have taken the place of.
        @discardableResult
        mutating func list(
            _ parts: [ArchiveVolume.Part],
            until: Int64,
            ends: [UInt32: UInt64] = [:],
            now: Int64 = 0
        ) throws -> ArchiveBook.Page {
            for part in parts { places[part.shard] = part.end }
            let page = book.page(
                adding: parts,
                standings: places.map { .init(shard: $0, position: $1, until: Timestamp(milliseconds: until)) },
                ends: ends,
                now: Timestamp(milliseconds: now)
            )
            try store.put(BackupName.volume(page.name), page.bytes)
            book.stored(page)
            if let superseded = page.superseded { try store.remove(BackupName.volume(superseded)) }
            return page
        }

        /// Other shards take the place of some, as of a moment, and are archived from there on.
        @discardableResult
        mutating func replace(
            _ old: [ArchiveVolume.Shard],
            by new: [ArchiveVolume.Shard],
            ends: [UInt32: UInt64],
            at time: Int64
        ) throws -> ArchiveBook.Page {
            let sequence = old.reduce(UInt64(0)) { $0 + (places[$1]?.sequence ?? 0) } + 100
            for shard in old { places[shard] = nil }
            return try list(
                new.map { start($0, at: ArchiveTests.position(sequence, at: time, epoch: 5)) },
                until: time,
                ends: ends
            )
        }
    }

    /// Both shards from sequence 40 (41) on, entries every ten milliseconds in pieces of three.
    static func archive(
        _ store: FolderStore,
        rounds: Int,
        writesSegments: Bool = true
    ) throws -> Archiver {
        var archiver = Archiver(store)
        archiver.writesSegments = writesSegments
        try archiver.list(
            [
                archiver.start(shards[0], at: position(38, at: 1000)),
                archiver.start(shards[1], at: position(41, at: 1000, epoch: 4)),
            ],
            until: 1000
        )
        for round in 0..<rounds {
            let first = Int64(1010 + 30 * round)
            try archiver.list(
                try shards.map { shard in
                    try archiver.part(
                        shard,
                        from: archiver.places[shard]!,
                        times: [first, first + 10, first + 20],
                        epoch: 4
                    )
                },
                until: first + 25
            )
        }
        return archiver
    }

    static func chain(_ store: FolderStore) async throws -> ArchiveChain {
        try #require(try await ArchiveChain.read(collection, in: store))
    }

    @Test func whatIsReadIsWhatWasWritten() async throws {
        try await Self.withStore { store in
            #expect(try await ArchiveChain.read(Self.collection, in: store) == nil)
            _ = try Self.archive(store, rounds: 4)
            let chain = try await Self.chain(store)
            #expect(chain.volumes.count == 1 && chain.strays.isEmpty && chain.gapCount == 0)
            #expect(chain.entryCount == 24 && chain.until == Timestamp(milliseconds: 1125))
            #expect(chain.lines.map(\.shard) == Self.shards)
            #expect(chain.lines[0].runs.map(\.end) == [Self.position(50, at: 1120, epoch: 4)])
            #expect(try await store.archives() == [Self.collection])
            for part in chain.lines[1].runs[0].parts {
                #expect(try await store.segment(of: part, in: Self.collection).entries.count == 3)
            }
        }
    }

    /// The clock was set back since: the list would stand still until it shows that time again.
    @Test func aListOfALaterTimeWasNotJustWritten() async throws {
        try await Self.withStore { store in
            var archiver = Archiver(store)
            func isJustWritten(_ now: Int64) -> Bool {
                archiver.book.wasWritten(within: 10_000, before: Timestamp(milliseconds: now))
            }
            #expect(!isJustWritten(0))
            try archiver.list(
                [archiver.start(Self.shards[0], at: Self.position(38, at: 1000))],
                until: 1000,
                now: 50_000
            )
            #expect(isJustWritten(50_000) && isJustWritten(59_999) && !isJustWritten(60_000))
            #expect(!isJustWritten(49_999) && !isJustWritten(0))
        }
    }

    @Test func aMomentLeadsToTheLastEntryOfEveryShardUntilThen() async throws {
        try await Self.withStore { store in
            _ = try Self.archive(store, rounds: 4)
            let chain = try await Self.chain(store)
            // Its shards were cut behind 40 and 41.
            let manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            func lasts(_ target: ArchiveTarget) async throws -> [UInt64] {
                try await chain.plan(after: manifest, to: target, in: store).get().shards.map(\.last)
            }
            #expect(try await lasts(.time(Timestamp(milliseconds: 1020))) == [40, 43])
            #expect(try await lasts(.time(Timestamp(milliseconds: 1029))) == [40, 43])
            #expect(try await lasts(.time(Timestamp(milliseconds: 1030))) == [41, 44])
            #expect(try await lasts(.time(Timestamp(milliseconds: 1125))) == [50, 53])
            #expect(try await lasts(.sequences([0: 44])) == [44, 47])
            #expect(try await lasts(.sequences([0: 44, 1: 42])) == [44, 42])
            let plan = try await chain.plan(
                after: manifest,
                to: .time(Timestamp(milliseconds: 1065)),
                in: store
            ).get()
            #expect(plan.shards.map { $0.parts.map(\.start.sequence) } == [[38, 41], [41, 44]])
            #expect(plan.entryCount == 4 + 6 && plan.epoch == 4)

            func refusal(_ target: ArchiveTarget) async throws -> ArchiveRefusal? {
                if case .failure(let refusal) = try await chain.plan(after: manifest, to: target, in: store) {
                    return refusal
                }
                return nil
            }
            #expect(try await refusal(.time(Timestamp(milliseconds: 1019))) == .beforeBackup)
            #expect(try await refusal(.time(Timestamp(milliseconds: 999))) == .beforeBackup)
            #expect(
                try await refusal(.time(Timestamp(milliseconds: 1126)))
                    == .beyondArchive(shard: 0, until: Timestamp(milliseconds: 1125))
            )
            #expect(
                try await refusal(.sequences([0: 51])) == .noSuchSequence(shard: 0, first: 40, last: 50)
            )
            #expect(try await refusal(.sequences([2: 44])) == .noSuchShard(2))
            #expect(chain.moments(after: manifest) == Timestamp(milliseconds: 1030)...Timestamp(milliseconds: 1125))
        }
    }

    @Test func aGapIsToldAndRefused() async throws {
        try await Self.withStore { store in
            var archiver = try Self.archive(store, rounds: 2)
            // Shard 0 begins anew: what lies between is missing.
            let anew = Self.position(60, at: 1200, epoch: 5)
            try archiver.list([archiver.start(Self.shards[0], at: anew)], until: 1200)
            try archiver.list(
                [try archiver.part(Self.shards[0], from: anew, times: [1210, 1220], epoch: 5)],
                until: 1225
            )
            let chain = try await Self.chain(store)
            #expect(chain.gapCount == 1)
            var manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            func plan(_ time: Int64) async throws -> Result<ArchivePlan, ArchiveRefusal> {
                try await chain.plan(after: manifest, to: .time(Timestamp(milliseconds: time)), in: store)
            }
            // Of what was ordered in the millisecond of the last entry there may have been more.
            #expect(try await plan(1059).get().shards.map(\.last) == [43, 46])
            #expect(try await plan(1060) == .failure(.beyondArchive(shard: 0, until: Timestamp(milliseconds: 1059))))
            // A backup that was cut in the gap is not gone on from, and one behind it is.
            manifest.shards[0].sequence = 55
            #expect(try await plan(1215) == .failure(.backupNotCovered(shard: 0)))
            (manifest.shards[0].sequence, manifest.shards[0].epoch) = (60, 5)
            #expect(try await plan(1215).get().shards.map(\.last) == [61, 47])
            // Another shard of the index is another shard.
            manifest.shards[0].range = HashRange(first: 0, last: 5)
            #expect(try await plan(1215) == .failure(.notArchived(shard: 0)))
        }
    }

    /// What was written behind 80 was given up: a replica that ends there was made primary, in epoch 7, and its log is
    /// archived anew. The backup was cut before that, behind 90.
    @Test(arguments: [[80, 90, 100], [80, 81, 100], [80, 100]] as [[UInt64]])
    func aRunWithOtherEntriesIsNotTakenForTheOneThatTheBackupLiesIn(ends: [UInt64]) async throws {
        try await Self.withStore { store in
            var archiver = Archiver(store)
            let (shard, other) = (Self.shards[0], Self.shards[1])
            func write(_ ends: [UInt64], from time: Int64, epoch: (UInt64) -> UInt64) throws {
                for end in ends {
                    let place = archiver.places[shard]!
                    let times = (place.sequence + 1...end).map { time + Int64($0) }
                    let part = try archiver.part(shard, from: place, times: times, epoch: epoch(end))
                    try archiver.list([part], until: times.last! + 5)
                }
            }
            try archiver.list(
                [
                    archiver.start(shard, at: Self.position(1, at: 1000, epoch: 5)),
                    archiver.start(other, at: Self.position(41, at: 1000, epoch: 4)),
                ],
                until: 1000
            )
            try write([50, 92, 100], from: 1000) { _ in 5 }
            try archiver.list([archiver.start(shard, at: Self.position(10, at: 2000, epoch: 5))], until: 2000)
            try write(ends, from: 2000) { $0 > 80 ? 7 : 5 }

            let chain = try await Self.chain(store)
            var manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            (manifest.shards[0].sequence, manifest.shards[0].epoch) = (90, 5)
            func plan(_ time: Int64, epoch: UInt64 = 7) async throws -> Result<ArchivePlan, ArchiveRefusal> {
                try await chain.plan(after: manifest, to: .time(Timestamp(milliseconds: time)), in: store) { _ in
                    epoch
                }
            }
            let end = Timestamp(milliseconds: 1099)
            #expect(chain.gapCount == 1)
            #expect(try await plan(1095).get().shards.map(\.last) == [95, 41])
            #expect(try await plan(1095).get().shards[0].parts.map(\.start.epoch) == [5, 5])
            #expect(try await plan(2095) == .failure(.beyondArchive(shard: 0, until: end)))
            #expect(chain.moments(after: manifest) == Timestamp(milliseconds: 1092)...end)
            // Where no place of the list lies between, the entry tells.
            guard ends.count == 2 else { return }
            #expect(try await plan(2095, epoch: 5).get().shards.map(\.last) == [95, 41])
            // A backup of the other history.
            manifest.shards[0].epoch = 7
            #expect(try await plan(2095).get().shards.map(\.last) == [95, 41])
            #expect(try await plan(2095, epoch: 5) == .failure(.backupNotCovered(shard: 0)))
        }
    }

    @Test func fullVolumesAreChainedAndAMissingOneIsNamed() async throws {
        try await Self.withStore { store in
            let rounds = ArchiveVolume.partLimit / 2 * 3 - 2
            _ = try Self.archive(store, rounds: rounds, writesSegments: false)
            let chain = try await Self.chain(store)
            #expect(chain.volumes.count == 3 && chain.entryCount == UInt64(rounds) * 6)
            #expect(chain.volumes.map(\.name.number) == [1, 2, 3])
            let names = try await store.volumes(of: Self.collection)
            #expect(names == chain.volumes.map(\.name))
            // The oldest may have been pruned.
            let first = BackupName.volume(names[0])
            let bytes = try store.get(first, limit: 1 << 20)
            try store.remove(first)
            let pruned = try await Self.chain(store)
            #expect(pruned.volumes.map(\.name.number) == [2, 3])
            let manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            #expect(
                try await pruned.plan(after: manifest, to: .time(pruned.until!), in: store)
                    == .failure(.backupNotCovered(shard: 0))
            )
            try store.put(first, bytes)
            // One in the middle has not.
            let middle = BackupName.volume(names[1])
            try store.remove(middle)
            let missing = await #expect(throws: BackupError.self) { try await Self.chain(store) }
            #expect(missing == .missing(object: store.path(of: middle)))
            // Another one in its place is none.
            try store.put(middle, bytes)
            let altered = await #expect(throws: BackupError.self) { try await Self.chain(store) }
            #expect(
                altered?.description.contains(names[1].digest.description) == true,
                "\(String(describing: altered))"
            )
        }
    }

    @Test func twoThatWriteAtOnceDoNoHarm() async throws {
        try await Self.withStore { store in
            var one = try Self.archive(store, rounds: 2)
            var other = one
            try one.list(
                [try one.part(Self.shards[0], from: one.places[Self.shards[0]]!, times: [1100], epoch: 4)],
                until: 1100
            )
            let stray = try await store.volumes(of: Self.collection)
            try other.list(
                [try other.part(Self.shards[0], from: other.places[Self.shards[0]]!, times: [1100, 1110], epoch: 4)],
                until: 1110
            )
            try other.list([], until: 1120)
            let chain = try await Self.chain(store)
            #expect(chain.until == Timestamp(milliseconds: 1120))
            #expect(chain.lines[0].runs[0].end.sequence == 46)
            #expect(chain.strays == stray)
        }
    }

    @Test func whatNoBackupNeedsMayGo() async throws {
        try await Self.withStore { store in
            _ = try Self.archive(store, rounds: ArchiveVolume.partLimit / 2 * 3 - 2, writesSegments: false)
            let chain = try await Self.chain(store)
            var manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            #expect(chain.volumesToPrune(keeping: [manifest]).isEmpty)
            let end = chain.volumes[0].volume.standings.map(\.position.sequence)
            manifest.shards[0].sequence = end[0]
            manifest.shards[1].sequence = end[1] - 1
            #expect(chain.volumesToPrune(keeping: [manifest]).isEmpty)
            manifest.shards[1].sequence = end[1]
            #expect(chain.volumesToPrune(keeping: [manifest]).map(\.name) == [chain.volumes[0].name])
            let older = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            #expect(chain.volumesToPrune(keeping: [manifest, older]).isEmpty)
            // Without a backup nothing of it is of use, but where it goes on.
            #expect(chain.volumesToPrune(keeping: []).map(\.name.number) == [1, 2])
        }
    }

    @Test func aShardWithoutWritesStaysRestorableWhenItsPartsWerePruned() async throws {
        try await Self.withStore { store in
            var archiver = try Self.archive(store, rounds: ArchiveVolume.partLimit / 2 - 1)
            let idle = archiver.places[Self.shards[1]]!
            var manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            for (index, shard) in Self.shards.enumerated() {
                manifest.shards[index].sequence = archiver.places[shard]!.sequence
                manifest.shards[index].epoch = 4
            }
            for time in [Int64(9000), 9010, 9020] {
                let part = try archiver.part(
                    Self.shards[0],
                    from: archiver.places[Self.shards[0]]!,
                    times: [time],
                    epoch: 4
                )
                try archiver.list([part], until: time + 1)
            }
            let pruned = try await Self.chain(store).volumesToPrune(keeping: [manifest])
            #expect(pruned.map(\.name.number) == [1])
            for volume in pruned { try store.remove(BackupName.volume(volume.name)) }
            var chain = try await Self.chain(store)
            #expect(chain.lines.map(\.shard.index).sorted() == [0, 1])
            let plan = try await chain.plan(after: manifest, to: .time(Timestamp(milliseconds: 9015)), in: store).get()
            let cut = manifest.shards[0].sequence
            #expect(plan.shards.map(\.last) == [cut + 2, idle.sequence] && plan.entryCount == 2)
            #expect(chain.moments(after: manifest)?.upperBound == Timestamp(milliseconds: 9021))

            // It goes on from there.
            let part = try archiver.part(Self.shards[1], from: idle, times: [9100], epoch: 4)
            try archiver.list([part], until: 9101)
            chain = try await Self.chain(store)
            #expect(chain.gapCount == 0)
            let later = try await chain.plan(after: manifest, to: .time(Timestamp(milliseconds: 9100)), in: store).get()
            #expect(later.shards.map(\.last) == [cut + 3, idle.sequence + 1])
        }
    }

    @Test func segmentsThatAreNotWhatTheListSaysAreRefused() async throws {
        try await Self.withStore { store in
            _ = try Self.archive(store, rounds: 2)
            let parts = try await Self.chain(store).lines[0].runs[0].parts
            let name = BackupName.segment(try #require(parts[0].segment).digest)
            let sound = try store.get(name, limit: 1 << 20)
            let other = try store.get(BackupName.segment(try #require(parts[1].segment).digest), limit: 1 << 20)
            for bytes in [other, Array(sound.dropLast())] {
                try store.put(name, bytes)
                let error = await #expect(throws: BackupError.self) {
                    try await store.segment(of: parts[0], in: Self.collection)
                }
                #expect(error?.description.contains(store.path(of: name)) == true)
            }
            try store.remove(name)
            let error = await #expect(throws: BackupError.self) {
                try await store.segment(of: parts[0], in: Self.collection)
            }
            #expect(error == .missing(object: store.path(of: name)))
            // Archives hold faces: nobody else reads them.
            let volume = try #require(try await store.volumes(of: Self.collection).last)
            for object in [BackupName.volume(volume), BackupName.segment(parts[1].segment!.digest)] {
                let mode = try FileManager.default.attributesOfItem(atPath: store.path(of: object))[.posixPermissions]
                #expect(mode as? Int == 0o600)
            }
        }
    }
}

/// Shards whose place others have taken.
extension ArchiveTests {
    private static let halves = [
        ArchiveVolume.Shard(index: 2, range: HashRange(first: 0, last: .max / 4)),
        ArchiveVolume.Shard(index: 3, range: HashRange(first: .max / 4 + 1, last: .max / 2)),
    ]

    /// Two rounds, with entries up to 44 (47), and nothing from 1060 until 5000.
    private static func quietArchive(_ store: FolderStore) throws -> Archiver {
        var archiver = try archive(store, rounds: 2)
        try archiver.list([], until: 5000)
        return archiver
    }

    private static func plan(_ time: Int64, in store: FolderStore) async throws -> Result<ArchivePlan, ArchiveRefusal> {
        let manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
        return try await chain(store).plan(after: manifest, to: .time(Timestamp(milliseconds: time)), in: store)
    }

    @Test func momentsBeforeASplitStayRestorable() async throws {
        try await Self.withStore { store in
            var archiver = try Self.quietArchive(store)
            let page = try archiver.replace([Self.shards[0]], by: Self.halves, ends: [0: 44], at: 6000)
            #expect(page.replaced == [Self.shards[0]] && page.unfinished.isEmpty)
            let later = try archiver.list([], until: 7000)
            #expect(later.replaced.isEmpty && later.unfinished.isEmpty)

            let chain = try await Self.chain(store)
            #expect(chain.gapCount == 0 && chain.replaced == [Self.shards[0]])
            #expect(chain.standings.map(\.shard.index) == [2, 3, 1] && chain.until == Timestamp(milliseconds: 7000))
            #expect(try await Self.plan(5000, in: store).get().shards.map(\.last) == [44, 47])
            let refusal = ArchiveRefusal.replaced(shard: 0, until: Timestamp(milliseconds: 5000))
            #expect(try await Self.plan(5001, in: store) == .failure(refusal))
            let manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            #expect(chain.moments(after: manifest)?.upperBound == Timestamp(milliseconds: 5000))
        }
    }

    @Test(arguments: [46, nil] as [UInt64?])
    func theEndOfAShardThatWasNotArchivedIsAGap(end: UInt64?) async throws {
        try await Self.withStore { store in
            var archiver = try Self.quietArchive(store)
            let ends = end.map { [UInt32(0): $0] } ?? [:]
            let page = try archiver.replace([Self.shards[0]], by: Self.halves, ends: ends, at: 6000)
            #expect(page.replaced == [Self.shards[0]] && page.unfinished == [Self.shards[0]])
            let later = try archiver.list([], until: 7000)
            #expect(later.replaced.isEmpty && later.unfinished.isEmpty)

            let chain = try await Self.chain(store)
            #expect(chain.gapCount == 1)
            #expect(try await Self.plan(5000, in: store).get().shards.map(\.last) == [44, 47])
            let refusal = ArchiveRefusal.replaced(shard: 0, until: Timestamp(milliseconds: 5000))
            #expect(try await Self.plan(5001, in: store) == .failure(refusal))
            // Nothing goes on from a backup that was cut in what is missing.
            var manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            for sequence in [UInt64(45), 46] {
                (manifest.shards[0].sequence, manifest.shards[0].epoch) = (sequence, 4)
                let time = ArchiveTarget.time(Timestamp(milliseconds: 5000))
                #expect(
                    try await chain.plan(after: manifest, to: time, in: store)
                        == .failure(.backupNotCovered(shard: 0))
                )
            }
        }
    }

    @Test(arguments: [true, false])
    func momentsBeforeAMergeStayRestorable(isWhole: Bool) async throws {
        try await Self.withStore { store in
            var archiver = try Self.quietArchive(store)
            let merged = ArchiveVolume.Shard(index: 2, range: .all)
            let page = try archiver.replace(
                Self.shards,
                by: [merged],
                ends: [0: 44, 1: isWhole ? 47 : 50],
                at: 6000
            )
            #expect(page.replaced == Self.shards && page.unfinished == (isWhole ? [] : [Self.shards[1]]))
            let chain = try await Self.chain(store)
            #expect(chain.gapCount == (isWhole ? 0 : 1) && chain.standings.map(\.shard) == [merged])
            #expect(try await Self.plan(5000, in: store).get().shards.map(\.last) == [44, 47])
            let refusal = ArchiveRefusal.replaced(shard: 0, until: Timestamp(milliseconds: 5000))
            #expect(try await Self.plan(5001, in: store) == .failure(refusal))
        }
    }

    /// As long as nothing is archived of what took its place, the archive is as far as the old shard's.
    @Test func aShardHasGoneWhenWhatTookItsPlaceIsArchived() async throws {
        try await Self.withStore { store in
            var archiver = try Self.quietArchive(store)
            archiver.places[Self.shards[0]] = nil
            let page = try archiver.list([], until: 6000)
            #expect(page.replaced.isEmpty)
            let chain = try await Self.chain(store)
            #expect(chain.until == Timestamp(milliseconds: 5000) && chain.standings.map(\.shard) == Self.shards)
            // Who goes on in another process knows no ends.
            archiver.book = ArchiveBook(
                collection: Self.collection,
                name: "gallery",
                cluster: NodeID(high: 1, low: 2),
                head: chain.volumes.last
            )
            let first = try archiver.replace([], by: [Self.halves[1]], ends: [:], at: 6500)
            #expect(first.replaced == [Self.shards[0]] && first.unfinished == [Self.shards[0]])
            let second = try archiver.replace([], by: [Self.halves[0]], ends: [:], at: 7000)
            #expect(second.replaced.isEmpty)
            #expect(try await Self.chain(store).gapCount == 1)
        }
    }

    /// A shard that was quiet keeps its moments when volumes before it went are pruned.
    @Test(arguments: [true, false])
    func aShardThatHasGoneStaysRestorableWhenItsPartsWerePruned(isWhole: Bool) async throws {
        try await Self.withStore { store in
            var archiver = try Self.archive(store, rounds: ArchiveVolume.partLimit / 2 - 1)
            var manifest = BackupSamples.manifest(of: BackupSamples.faces(9)).manifest
            for (index, shard) in Self.shards.enumerated() {
                manifest.shards[index].sequence = archiver.places[shard]!.sequence
                manifest.shards[index].epoch = 4
            }
            let (quiet, written) = (manifest.shards[0].sequence, manifest.shards[1].sequence)
            for time in [Int64(9000), 9010, 9020] {
                let place = archiver.places[Self.shards[1]]!
                let part = try archiver.part(Self.shards[1], from: place, times: [time], epoch: 4)
                try archiver.list([part], until: time + 1)
            }
            let ends = [UInt32(0): isWhole ? quiet : quiet + 2]
            try archiver.replace([Self.shards[0]], by: Self.halves, ends: ends, at: 9500)
            let pruned = try await Self.chain(store).volumesToPrune(keeping: [manifest])
            #expect(pruned.map(\.name.number) == [1])
            for volume in pruned { try store.remove(BackupName.volume(volume.name)) }
            let chain = try await Self.chain(store)
            let plan = try await chain.plan(after: manifest, to: .time(Timestamp(milliseconds: 9015)), in: store).get()
            #expect(plan.shards.map(\.last) == [quiet, written + 2])
            #expect(chain.moments(after: manifest)?.upperBound == Timestamp(milliseconds: 9021))
        }
    }
}
