import Backups
import FaceModel
import FaceRecords
import Testing

/// What was deleted after a backup does not come back, and what was enrolled again does.
@Suite struct ErasureLedgerTests {
    private static let manifest = BackupSamples.manifest(of: BackupSamples.faces(40)).manifest
    private static let minute: Int64 = 60_000
    private static let hour = 60 * minute

    private static func ledger(
        since: Int64,
        until: Int64,
        key: ErasureKey = manifest.erasureKey,
        of collection: CollectionID = BackupSamples.collection.id,
        at time: Int64 = 1,
        _ erasures: [(FaceID, FaceVersion)] = []
    ) -> ErasureLedger {
        ErasureLedger(
            collection: collection,
            name: "gallery",
            keyMark: ErasureLedger.mark(of: key),
            since: Timestamp(milliseconds: manifest.created.milliseconds + since),
            until: Timestamp(milliseconds: manifest.created.milliseconds + until),
            erasures: erasures.map {
                Erasure(
                    pseudonym: key.pseudonym(of: $0.0),
                    version: $0.1,
                    time: Timestamp(milliseconds: manifest.created.milliseconds + time)
                )
            }
        )
    }

    @Test func aFaceThatWasDeletedLaterIsLeftOutAndALaterOneOfItsIDIsNot() {
        let face = FaceID(high: 1, low: 2)
        func row(_ epoch: UInt64, _ sequence: UInt64) -> ArchivedFaces.Row {
            .init(id: face, version: FaceVersion(epoch: epoch, sequence: sequence), metadata: FaceMetadata())
        }
        var filter = ErasureFilter(for: Self.manifest)
        #expect(!filter.isErased(row(3, 30)))
        // Before the cut of any shard: of no interest, since what is in the backup came after it.
        filter.add(Self.ledger(since: -5, until: 5, [(face, FaceVersion(epoch: 3, sequence: 39))]))
        #expect(!filter.isErased(row(3, 30)))
        filter.add(Self.ledger(since: -5, until: 5, [(face, FaceVersion(epoch: 4, sequence: 50))]))
        #expect(filter.isErased(row(3, 30)) && filter.isErased(row(4, 49)))
        #expect(!filter.isErased(row(4, 51)) && !filter.isErased(row(5, 1)))
        filter.add(Self.ledger(since: -5, until: 5, [(face, FaceVersion(epoch: 4, sequence: 45))]))
        #expect(filter.isErased(row(4, 49)))
        var other = row(3, 30)
        other.id = FaceID(high: 2, low: 1)
        #expect(!filter.isErased(other))
    }

    @Test func whatAnEarlierLedgerHasAndALaterOneShouldHaveIsCounted() {
        let faces = (0..<5).map { FaceID(high: UInt64($0), low: 7) }
        let versions = (0..<5).map { FaceVersion(epoch: 4, sequence: 50 + UInt64($0)) }
        let all = Array(zip(faces, versions))
        let time = 3 * Self.hour
        let earlier = Self.ledger(since: -5, until: 4 * Self.hour, at: time, all)
        #expect(Self.ledger(since: -5, until: 9 * Self.hour, at: time, all.reversed()).missingCount(of: earlier) == 0)
        // By the clock of another replica.
        #expect(Self.ledger(since: -5, until: 9 * Self.hour, at: 9, all).missingCount(of: earlier) == 0)
        let fewer = Self.ledger(since: -5, until: 9 * Self.hour, at: time, [all[1], all[3]])
        #expect(fewer.missingCount(of: earlier) == 3)
        let other = (faces[0], FaceVersion(epoch: 5, sequence: 60))
        #expect(Self.ledger(since: -5, until: 9 * Self.hour, [other] + all[1...]).missingCount(of: earlier) == 1)
        // What is as old as that was forgotten in time.
        let forgetful = Self.ledger(since: time - Self.minute, until: 9 * Self.hour)
        #expect(forgetful.missingCount(of: earlier) == 0)
    }

    @Test func ledgersHaveToReachBackToTheBackupWithoutAGap() {
        func known(_ spans: [(Int64, Int64)]) -> Int64? {
            var filter = ErasureFilter(for: Self.manifest)
            for (since, until) in spans {
                filter.add(Self.ledger(since: since * Self.hour, until: until * Self.hour))
            }
            return filter.knownUntil.map { ($0.milliseconds - Self.manifest.created.milliseconds) / Self.hour }
        }
        #expect(known([]) == nil)
        #expect(known([(1, 9)]) == nil)
        #expect(known([(-1, 9)]) == 9)
        #expect(known([(5, 20), (-3, 9)]) == 20)
        #expect(known([(10, 20), (-3, 9)]) == 9)
        #expect(known([(-3, 9), (-5, 4), (8, 30), (29, 31)]) == 31)
    }

    /// The loss is dated by a coordinator, the backup by the program that made it: by its clock, five minutes ahead,
    /// what was deleted and lost after the cut may look older.
    @Test func aLossThatOnlyClocksPutBeforeTheBackupIsNone() {
        func isKnown(since: Int64) -> Bool {
            var filter = ErasureFilter(for: Self.manifest)
            filter.add(Self.ledger(since: since, until: Self.hour))
            return filter.knownUntil != nil
        }
        #expect(!isKnown(since: 0) && !isKnown(since: -2 * Self.minute) && !isKnown(since: 1 - Self.hour))
        #expect(isKnown(since: -Self.hour))
        // An export from before the loss helps, and what is known since counts with it.
        let face = FaceID(high: 1, low: 2)
        var helped = ErasureFilter(for: Self.manifest)
        #expect(!helped.reachesBackup(from: Self.ledger(since: -2 * Self.minute, until: 0).since))
        helped.add(Self.ledger(since: -2 * Self.hour, until: -3 * Self.minute))
        helped.add(
            Self.ledger(
                since: -2 * Self.minute,
                until: Self.hour,
                [(face, FaceVersion(epoch: 4, sequence: 60))]
            )
        )
        #expect(helped.knownUntil?.milliseconds == Self.manifest.created.milliseconds - 3 * Self.minute)
        let row = ArchivedFaces.Row(
            id: face,
            version: FaceVersion(epoch: 4, sequence: 50),
            metadata: FaceMetadata()
        )
        #expect(helped.isErased(row))
        // A collection is older than its backup, whatever clocks say.
        var young = Self.manifest
        young.collection = Collection(
            id: young.collection.id,
            configuration: young.collection.configuration,
            created: Timestamp(milliseconds: young.created.milliseconds + Self.minute)
        )
        var filter = ErasureFilter(for: young)
        filter.add(Self.ledger(since: Self.minute, until: Self.hour))
        #expect(filter.knownUntil != nil)
        filter = ErasureFilter(for: young)
        filter.add(Self.ledger(since: Self.minute + 1, until: Self.hour))
        #expect(filter.knownUntil == nil)
    }

    @Test func aCopyOfTheCollectionDoesNotVouchForIt() {
        let copy = CollectionID(high: 3, low: 4)
        var filter = ErasureFilter(for: Self.manifest)
        // It was restored before the backup, and lives on: what was deleted from the other it never saw.
        filter.add(Self.ledger(since: -9 * Self.hour, until: 100, of: copy))
        #expect(filter.knownUntil == nil)
        filter.add(Self.ledger(since: -2 * Self.hour, until: 7))
        #expect(filter.knownUntil?.milliseconds == Self.manifest.created.milliseconds + 7)
    }

    @Test func whatWasDeletedFromACopyIsToldByTime() {
        let copy = CollectionID(high: 3, low: 4)
        let face = FaceID(high: 1, low: 2)
        let row = ArchivedFaces.Row(
            id: face,
            version: FaceVersion(epoch: 4, sequence: 60),
            metadata: FaceMetadata()
        )
        var filter = ErasureFilter(for: Self.manifest)
        // Before the backup was taken: the collection has it all the same.
        func ledger(at time: Int64) -> ErasureLedger {
            Self.ledger(since: -9, until: 9, of: copy, at: time, [(face, FaceVersion(epoch: 9, sequence: 1))])
        }
        filter.add(ledger(at: -Self.hour - 1))
        #expect(!filter.isErased(row))
        // If it is before by more than clocks may differ.
        var doubtful = filter
        doubtful.add(ledger(at: -2 * Self.minute))
        #expect(doubtful.isErased(row))
        // Versions of the copy say nothing here, be they higher or lower.
        for epoch in [1, 9] as [UInt64] {
            var filter = filter
            filter.add(
                Self.ledger(since: -9, until: 9, of: copy, at: 5, [(face, FaceVersion(epoch: epoch, sequence: 1))])
            )
            #expect(filter.isErased(row))
            let moment = Timestamp(milliseconds: Self.manifest.created.milliseconds + 2 * Self.hour)
            #expect(!filter.isErased(row, broughtBefore: moment), "the collection has had it since")
        }
    }

    /// A collection is restored twice to one moment, and a face that came after the backup is deleted from the first.
    @Test func whatWasDeletedFromACopyAfterTheMomentIsNotBroughtByTheLog() {
        let copy = CollectionID(high: 3, low: 4)
        let face = FaceID(high: 1, low: 2)
        let row = ArchivedFaces.Row(id: face, version: FaceVersion(epoch: 4, sequence: 60), metadata: FaceMetadata())
        let moment = Timestamp(milliseconds: Self.manifest.created.milliseconds + 5 * Self.hour)
        func isErased(at times: [Int64]) -> Bool {
            var filter = ErasureFilter(for: Self.manifest)
            for time in times {
                filter.add(
                    Self.ledger(
                        since: -9,
                        until: 9 * Self.hour,
                        of: copy,
                        at: 5 * Self.hour + time,
                        [(face, FaceVersion(epoch: 9, sequence: 1))]
                    )
                )
            }
            return filter.isErased(row, broughtBefore: moment)
        }
        #expect(isErased(at: [2 * Self.hour]))
        #expect(!isErased(at: [-2 * Self.hour]))
        // The latest of several counts, in whatever order they are heard of.
        #expect(isErased(at: [-2 * Self.hour, 2 * Self.hour]) && isErased(at: [2 * Self.hour, -2 * Self.hour]))
        // By clocks that may differ.
        #expect(isErased(at: [-Self.hour]) && !isErased(at: [-Self.hour - 1]))
    }

    /// An expiry is of the collection alone: in a copy a face may have expired that was given more time meanwhile.
    @Test func whatHasExpiredIsLeftOutByTheLedgerOfTheCollectionItselfAlone() {
        let face = FaceID(high: 1, low: 2)
        let expiry = ErasureKey.ofExpired(Self.manifest.erasureKey.pseudonym(of: face))
        func row(_ sequence: UInt64) -> ArchivedFaces.Row {
            .init(id: face, version: FaceVersion(epoch: 4, sequence: sequence), metadata: FaceMetadata())
        }
        func filter(of collection: CollectionID) -> ErasureFilter {
            var ledger = Self.ledger(
                since: -5,
                until: 5,
                of: collection,
                [(face, FaceVersion(epoch: 4, sequence: 50))]
            )
            ledger.erasures[0].pseudonym = expiry
            var filter = ErasureFilter(for: Self.manifest)
            filter.add(ledger)
            return filter
        }
        let own = filter(of: BackupSamples.collection.id)
        #expect(own.isErased(row(49)) && own.isErased(row(49), broughtBefore: Self.manifest.created))
        #expect(!own.isErased(row(51)), "it was enrolled again")
        #expect(!filter(of: CollectionID(high: 3, low: 4)).isErased(row(49)))
    }

    /// A restoration that was cut off has sent it: it goes on with the same, though the face has expired meanwhile.
    @Test func aVersionWhoseOwnTimeWasOverWhenItsFaceExpiredGoesIn() {
        let face = FaceID(high: 1, low: 2)
        func row(expires time: Int64?) -> ArchivedFaces.Row {
            let expires = time.map { Timestamp(milliseconds: Self.manifest.created.milliseconds + $0) }
            return .init(
                id: face,
                version: FaceVersion(epoch: 4, sequence: 49),
                metadata: FaceMetadata(expires: expires)
            )
        }
        func ledger(at time: Int64, sequence: UInt64, isExpiry: Bool = true) -> ErasureLedger {
            let version = FaceVersion(epoch: 4, sequence: sequence)
            var ledger = Self.ledger(since: -5, until: 5, at: time, [(face, version)])
            if isExpiry { ledger.erasures[0].pseudonym = ErasureKey.ofExpired(ledger.erasures[0].pseudonym) }
            return ledger
        }
        var filter = ErasureFilter(for: Self.manifest)
        filter.add(ledger(at: 100, sequence: 50))
        #expect(!filter.isErased(row(expires: 100)) && !filter.isErased(row(expires: 99)))
        // It would have outlived the later version that expired.
        #expect(filter.isErased(row(expires: 101)) && filter.isErased(row(expires: nil)))
        // As another replica noted it, and as it was before.
        filter.add(ledger(at: 103, sequence: 50))
        filter.add(ledger(at: 99, sequence: 50))
        filter.add(ledger(at: 500, sequence: 45))
        #expect(!filter.isErased(row(expires: 103)) && filter.isErased(row(expires: 104)))
        filter.add(ledger(at: 200, sequence: 60))
        #expect(!filter.isErased(row(expires: 200)) && filter.isErased(row(expires: 201)))
        // What was deleted is gone, whenever it would have expired.
        filter.add(ledger(at: 1, sequence: 50, isExpiry: false))
        #expect(filter.isErased(row(expires: -100)) && filter.isErased(row(expires: 200)))
    }

    @Test func aLedgerOfAnotherKeyIsToldApart() {
        let filter = ErasureFilter(for: Self.manifest)
        #expect(filter.isOfKey(Self.ledger(since: 0, until: 1)))
        #expect(!filter.isOfKey(Self.ledger(since: 0, until: 1, key: ErasureKey(high: 7, low: 9))))
        let face = FaceID(high: 1, low: 2)
        let pseudonym = ErasureKey(high: 7, low: 8).pseudonym(of: face)
        #expect(pseudonym != ErasureKey(high: 7, low: 9).pseudonym(of: face))
        #expect(pseudonym >> 64 != UInt128(face.high) && UInt64(truncatingIfNeeded: pseudonym) != face.low)
    }

    @Test func whatBothHalvesOfASplitHaveIsOneErasure() {
        func erasure(_ number: UInt64, epoch: UInt64 = 3, at time: Int64 = 5) -> Erasure {
            Erasure(
                pseudonym: UInt128(number) << 90 | UInt128(number),
                version: FaceVersion(epoch: epoch, sequence: number),
                time: Timestamp(milliseconds: time)
            )
        }
        var gathered = GatheredErasures()
        gathered.add([erasure(1), erasure(2), erasure(2, epoch: 4)])
        // As another replica noted them.
        gathered.add([erasure(2, at: 4), erasure(1, at: 9), erasure(3)])
        let few = gathered.all()
        #expect(few.count == 4)
        #expect(Set(few) == [erasure(1, at: 9), erasure(2), erasure(2, epoch: 4), erasure(3)])

        // Of many shards that were one.
        let all = (0..<40_000 as Range<UInt64>).map { erasure($0) }
        var many = GatheredErasures()
        for _ in 0..<8 {
            for start in stride(from: 0, to: all.count, by: 10_000) { many.add(all[start..<start + 10_000]) }
        }
        let left = many.all()
        #expect(left.count == all.count && Set(left) == Set(all))
    }

    @Test func whatCannotBeReadIsNotWritten() throws {
        let faces = (0..<9 as Range<UInt64>).map { (FaceID(high: 1, low: $0), FaceVersion(epoch: 4, sequence: 50)) }
        let ledger = Self.ledger(since: 0, until: 9, faces)
        let bytes = try ledger.sealed(for: "file")
        #expect(bytes == ledger.encoded())
        #expect(try ledger.sealed(for: "file", limit: bytes.count) == bytes)
        for limit in [bytes.count - 1, 9 * 40, 8 * 40] {
            let error = #expect(throws: BackupError.self) { try ledger.sealed(for: "file", limit: limit) }
            #expect(error?.description.contains("the ledger has 9 erasures") == true)
        }
    }

    @Test func everyCutAndEveryChangedByteIsRefused() throws {
        let ledger = Self.ledger(since: 0, until: 9, [(FaceID(high: 1, low: 2), FaceVersion(epoch: 4, sequence: 50))])
        let bytes = ledger.encoded()
        #expect(try ErasureLedger(bytes: bytes, object: "file") == ledger)
        for count in bytes.indices {
            #expect(throws: BackupError.self) { try ErasureLedger(bytes: Array(bytes[..<count]), object: "file") }
            var changed = bytes
            changed[count] ^= 1
            #expect(throws: BackupError.self) { try ErasureLedger(bytes: changed, object: "file") }
        }
    }
}
