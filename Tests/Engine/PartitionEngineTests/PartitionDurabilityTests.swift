import FaceModel
import Foundation
import LMDB
import PartitionEngine
import PartitionStore
import Testing

struct PartitionDurabilityTests {
    /// Nothing is wrong with its disk.
    @Test func whatTheSystemHasNoThreadOrReaderForClosesNoPartition() {
        for error in [LMDBError.noThread(path: "p"), .readersFull(path: "p", maxReaders: 510)] {
            let error = PartitionError.store(.environment(error))
            #expect(error.isBusy && !error.requiresReopen && !error.isCorruption && !error.isStorageFull)
        }
    }

    /// A copy of the files of an open partition is what a machine has after its process was killed.
    @Test func everyAcknowledgedWriteIsInACopyOfTheOpenFiles() throws {
        let fixture = try PartitionFixture()
        var model = PartitionModel(precision: .float16)
        var source = FaceSource(dimension: 64)
        let probe = source.embedding()
        for round in 0..<30 {
            var batch = fixture.enrolment(
                (0..<40).map { FaceID(25 * round + $0) },
                (0..<40).map { _ in source.embedding() }
            )
            if round % 4 == 3 {
                batch = WriteBatch(
                    key: fixture.nextKey(),
                    operation: .delete((0..<30).map { FaceID(20 * round + $0) })
                )
            }
            let receipts = try fixture.partition.write([batch], epoch: 1)
            #expect(receipts == model.write([batch], epoch: 1))
            if round == 10 { try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64)) }
            if round % 3 == 2 { _ = try fixture.partition.maintain(now: Timestamp(milliseconds: 0)) }
            let copy = "\(fixture.folder.path)/copy \(round)"
            try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
            try FileManager.default.copyItem(atPath: "\(fixture.directory)/data.mdb", toPath: "\(copy)/data.mdb")
            let partition = try Partition.open(at: copy, options: fixture.options)
            defer { partition.close() }
            #expect(partition.committedSequence == model.sequence)
            let faces = try partition.page(after: nil, limit: 10_000, byteLimit: 1 << 30, includesEmbeddings: true)
            #expect(faces.map(\.id) == model.faces.keys.sorted())
            #expect(faces.allSatisfy { $0.embedding == model.faces[$0.id]?.embedding })
            #expect(try partition.write([batch], epoch: 1) == receipts)
            let found = try partition.search(
                PartitionSearch(
                    parameters: SearchParameters(matchLimit: 10, effort: .full),
                    excludedFace: nil,
                    probes: EmbeddingMatrix(dimension: 64, values: probe),
                    now: Timestamp(milliseconds: 0)
                ),
                shouldStop: { false }
            ).found[0]
            let expected = model.ranking(
                probe: probe,
                threshold: nil,
                excluding: nil,
                now: Timestamp(milliseconds: 0)
            )
            #expect(found == Array(expected.prefix(10)), "seed \(testSeed), round \(round)")
            // The copy can be written to as well.
            _ = try partition.maintain(now: Timestamp(milliseconds: 0))
        }
    }

    @Test func writesStopBeforeTheDiskIsFullAndReadsGoOn() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let embedding = source.embedding()
        try fixture.enrol([FaceID(1)], [embedding])
        fixture.options.minimumFreeByteCount = 1 << 62
        try fixture.reopen()
        for reserve in [1 << 62, 5 << 60] as [UInt64] {
            #expect { try fixture.enrol([FaceID(2)], [embedding]) } throws: { error in
                guard let error = error as? PartitionError, case .storageFull(_, let free, reserve) = error else {
                    return false
                }
                return free > 0 && error.isStorageFull && !error.requiresReopen && !error.isCorruption
            }
            #expect(try fixture.search([embedding]).matches[0].map(\.faceID) == [FaceID(1)])
        }
        #expect(try fixture.delete([FaceID(1)]).outcome == .deleted([.deleted]))
        fixture.options.minimumFreeByteCount = 0
        try fixture.reopen()
        #expect(try fixture.enrol([FaceID(2)], [embedding]).outcome == .enrolled([.accepted]))
    }

    /// What is freed at the mark is not taken again at once.
    @Test(.enabled(if: SmallDisk.isAvailable))
    func writesThatWereRefusedAreTakenOnceThereIsAQuarterMoreThanTheReserve() throws {
        let disk = try SmallDisk(byteCount: 8 << 20)
        let fixture = try PartitionFixture(directory: "\(disk.path)/partition")
        defer { fixture.partition.close() }
        fixture.options.minimumFreeByteCount = 4 << 20
        try fixture.reopen()
        var source = FaceSource(dimension: 64)
        var number = 0
        func enrol() throws {
            number += 1
            try fixture.enrol([FaceID(number)], [source.embedding()])
        }
        func expectRefusal(withReserve reserve: UInt64) {
            #expect { try enrol() } throws: { error in
                guard case .storageFull(_, _, reserve)? = error as? PartitionError else { return false }
                return true
            }
        }
        try enrol()
        // Of the 8 MiB the file has taken less than one.
        try disk.resize(byteCount: 4 << 20)
        expectRefusal(withReserve: 4 << 20)
        try disk.resize(byteCount: 5 << 20)
        expectRefusal(withReserve: 5 << 20)
        try disk.resize(byteCount: 7 << 20)
        try enrol()
        // The reserve alone counts again.
        try disk.resize(byteCount: 5 << 20)
        try enrol()
    }

    @Test func aFullMapIsAnErrorAndLosesNothing() throws {
        let fixture = try PartitionFixture()
        fixture.options.mapByteCount = 1 << 20
        try fixture.reopen()
        try expectFilling(fixture)
        fixture.options.mapByteCount = 1 << 30
        try fixture.reopen()
        try expectRecovery(fixture)
    }

    @Test(.enabled(if: SmallDisk.isAvailable))
    func aFullDiskIsAnErrorAndLosesNothing() throws {
        let disk = try SmallDisk(byteCount: 1 << 20)
        let fixture = try PartitionFixture(directory: "\(disk.path)/partition")
        try expectFilling(fixture)
        try disk.resize(byteCount: 1 << 26)
        try fixture.reopen()
        try expectRecovery(fixture)
        fixture.partition.close()
    }

    /// Pages of the file that were never written to take room on the disk when they are overwritten.
    @Test(.enabled(if: SmallDisk.isAvailable))
    func erasingWaitsForRoomOnTheDisk() throws {
        let disk = try SmallDisk(byteCount: 16 << 20)
        let fixture = try PartitionFixture(directory: "\(disk.path)/partition")
        defer { fixture.partition.close() }
        var source = FaceSource(dimension: 64)
        let ids = (0..<20).map { FaceID($0) }
        try fixture.enrol(ids, ids.map { _ in source.embedding() })
        try fixture.delete([ids[3]])
        // What lies behind the last page is free as well: a hole, for which the disk is too small.
        let hasHole = truncate("\(fixture.directory)/data.mdb", 64 << 20) == 0
        try #require(hasHole)
        func erase() throws -> ErasingStep {
            for _ in 0..<1000 {
                let step = try fixture.partition.eraseRemnants(isAtOnce: true)
                if step != .advanced { return step }
            }
            return .advanced
        }
        for _ in 0..<3 { #expect(try erase() == .waits) }
        #expect(disk.usedByteCount > 15 << 20, "it is the disk that is waited for")
        #expect(try fixture.partition.remnantAge() != nil)
        try disk.resize(byteCount: 1 << 27)
        #expect(try erase() == .idle)
        #expect(try fixture.partition.remnantAge() == nil)
        // It was never to be opened again.
        try fixture.enrol([FaceID(99)], [source.embedding()])
    }

    /// Enrols until there is no room; what was acknowledged stays and can be searched.
    private func expectFilling(_ fixture: PartitionFixture) throws {
        var source = FaceSource(dimension: 64, seed: 3)
        var acknowledged = 0
        while true {
            let ids = (0..<100).map { FaceID(acknowledged + $0) }
            do {
                try fixture.enrol(ids, ids.map { _ in source.embedding() })
            } catch let error as PartitionError {
                #expect(error.isStorageFull, "\(error)")
                #expect(!error.isCorruption)
                break
            }
            acknowledged += 100
            try #require(acknowledged < 100_000)
        }
        try #require(acknowledged > 0)
        #expect(try fixture.search([source.embedding()], limit: 10).matches[0].count == 10)
        try expectFaces(acknowledged, fixture)
    }

    /// There is room again: everything is there and writes go on.
    private func expectRecovery(_ fixture: PartitionFixture) throws {
        let count = Int(try fixture.partition.statistics().faceCount)
        try expectFaces(count, fixture)
        var source = FaceSource(dimension: 64, seed: 4)
        let ids = (0..<1000).map { FaceID(count + $0) }
        try fixture.enrol(ids, ids.map { _ in source.embedding() })
        try expectFaces(count + 1000, fixture)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        try expectFaces(count + 1000, fixture)
    }

    private func expectFaces(_ count: Int, _ fixture: PartitionFixture) throws {
        let faces = try fixture.partition.page(
            after: nil,
            limit: .max,
            byteLimit: .max,
            includesEmbeddings: true
        )
        #expect(faces.map(\.id) == (0..<count).map { FaceID($0) })
        var source = FaceSource(dimension: 64, seed: 3)
        if let face = faces.first { #expect(face.embedding == source.embedding().map { Float(Float16($0)) }) }
    }
}
