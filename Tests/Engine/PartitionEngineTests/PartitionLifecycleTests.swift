import FaceModel
import Foundation
import InvertedFileIndex
import LMDB
import PartitionEngine
import PartitionStore
import Testing

struct PartitionLifecycleTests {
    @Test func aNewPartitionIsEmptyAndRemembersItsIdentity() throws {
        let fixture = try PartitionFixture(dimension: 72, precision: .float32)
        try fixture.reopen()
        #expect(fixture.partition.identity == .made(dimension: 72, precision: .float32))
        #expect(fixture.partition.committedSequence == 0)
        let statistics = try fixture.partition.statistics()
        #expect(statistics.faceCount == 0 && statistics.generation == 0 && statistics.runCount == 0)
        #expect(try fixture.partition.page(after: nil, limit: 9, byteLimit: 999, includesEmbeddings: true).isEmpty)
        #expect(try fixture.settle() == 0)
    }

    @Test func creatingTwiceSaysThatItExists() throws {
        let fixture = try PartitionFixture()
        try fixture.enrol([FaceID(1)], [FaceSource.normalised([Float](repeating: 1, count: 64))])
        fixture.partition.close()
        for _ in 0..<2 {
            #expect {
                try Partition.create(at: fixture.directory, identity: .made(dimension: 128), options: .small)
            } throws: { error in
                guard case PartitionError.alreadyExists(let path) = error else { return false }
                return path == fixture.directory && "\(error)".contains(path)
            }
        }
        try fixture.reopen()
        #expect(try fixture.partition.statistics().faceCount == 1)
        #expect(fixture.partition.identity.collection.configuration.dimension == 64)
    }

    @Test func anInterruptedCreateIsCompleted() throws {
        let folder = TemporaryFolder()
        // What is left by a process that dies in the middle: an environment with some of the tables and no state.
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        options.createDirectory = true
        let environment = try Environment(path: "\(folder.path)/partition", options: options)
        for name in ["meta", "faces", "rows"] { _ = try environment.openTable(named: name, create: true) }
        environment.close()
        #expect(throws: PartitionError.self) {
            try Partition.open(at: "\(folder.path)/partition", options: .small)
        }
        let partition = try Partition.create(
            at: "\(folder.path)/partition",
            identity: .made(dimension: 64),
            options: .small
        )
        #expect(try partition.statistics().faceCount == 0)
        partition.close()
        try Partition.open(at: "\(folder.path)/partition", options: .small).close()
    }

    @Test func whatIsNoPartitionIsNamedSo() throws {
        let folder = TemporaryFolder()
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        let environment = try Environment(path: folder.path, options: options)
        let table = try environment.openTable(named: "songs", create: true)
        try environment.write { transaction in try transaction.put(table, key: "a", value: [1]) }
        environment.close()
        #expect {
            try Partition.open(at: folder.path, options: .small)
        } throws: { error in
            guard case PartitionError.store(.notAPartition(let path)) = error else { return false }
            return path == folder.path
        }
        let absent = "\(folder.path)/absent"
        #expect { try Partition.open(at: absent, options: .small) } throws: { error in
            guard case PartitionError.store(.environment(.notFound)) = error else { return false }
            return true
        }
        #expect(!FileManager.default.fileExists(atPath: absent))
        let text = TemporaryFolder()
        try Data(repeating: 65, count: 9000).write(to: URL(fileURLWithPath: "\(text.path)/data.mdb"))
        #expect { try Partition.open(at: text.path, options: .small) } throws: { error in
            guard case PartitionError.store(.environment(.notAnEnvironment)) = error else { return false }
            return true
        }
    }

    @Test func aNewerFormatIsRefusedInOneSentence() throws {
        let fixture = try PartitionFixture()
        fixture.partition.close()
        try fixture.change { tables, transaction in
            var state = PartitionState().encoded()
            state[0] = 10
            // Sealed in a way that only the newer version knows.
            state[state.count - 1] ^= 1
            try transaction.put(tables.meta, key: MetaKey.state, value: state)
        }
        #expect { try Partition.open(at: fixture.directory, options: .small) } throws: { error in
            guard let error = error as? PartitionError, case .store(.newerFormat(10, 9)) = error else { return false }
            return "\(error)" == "the partition has format 10 and this program knows formats up to 9; use a newer mien"
                && !error.isCorruption
        }
    }

    @Test func aCodebookOfAnotherGenerationThanTheStateIsCorruption() throws {
        let fixture = try PartitionFixture()
        fixture.partition.close()
        let codebook = try FaceSource.codebook(dimension: 64)
        try fixture.change { tables, transaction in
            try transaction.put(tables.meta, key: MetaKey.codebook, value: codebook)
        }
        #expect { try Partition.open(at: fixture.directory, options: .small) } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    @Test func aClosedPartitionThrows() throws {
        let fixture = try PartitionFixture()
        fixture.partition.close()
        fixture.partition.close()
        #expect(throws: PartitionError.self) { try fixture.partition.statistics() }
        #expect(throws: PartitionError.self) { try fixture.delete([FaceID(1)]) }
        #expect(throws: PartitionError.self) { try fixture.partition.maintain(now: Timestamp(milliseconds: 0)) }
        #expect(throws: PartitionError.self) {
            try fixture.search([FaceSource.normalised([Float](repeating: 1, count: 64))])
        }
    }

    @Test func twoOpeningsOfOneFolderAreRefused() throws {
        let fixture = try PartitionFixture()
        #expect { try Partition.open(at: fixture.directory, options: .small) } throws: { error in
            guard case PartitionError.store(.environment(.alreadyOpen)) = error else { return false }
            return true
        }
    }

    @Test func removingLeavesNothing() throws {
        let fixture = try PartitionFixture()
        fixture.partition.close()
        try Partition.remove(at: fixture.directory)
        #expect(!FileManager.default.fileExists(atPath: fixture.directory))
        try Partition.remove(at: fixture.directory)
    }

    @Test func codebooksAreInstalledOnceAndStay() throws {
        let fixture = try PartitionFixture()
        let first = try FaceSource.codebook(dimension: 64)
        try fixture.partition.install(codebook: first)
        try fixture.partition.install(codebook: first)
        #expect(try fixture.partition.statistics().generation == 1)
        let older = try FaceSource.codebook(dimension: 64, generation: 0)
        for _ in 0..<2 {
            #expect(throws: PartitionError.self) { try fixture.partition.install(codebook: older) }
            try fixture.reopen()
            #expect(try fixture.partition.statistics().generation == 1)
        }
        #expect { try fixture.partition.install(codebook: FaceSource.codebook(dimension: 72)) } throws: { error in
            guard case PartitionError.codebook(.malformed) = error else { return false }
            return true
        }
        #expect(throws: PartitionError.self) { try fixture.partition.install(codebook: Array(first.dropLast())) }
    }

    /// Two trainers may give out one number by mistake: the codes on disk were made by the first.
    @Test func anotherCodebookOfTheSameGenerationIsRefused() throws {
        var options = PartitionOptions.small
        options.candidateFloor = 8
        options.candidatesPerMatch = 0
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<512).map { _ in source.embedding() }
        try fixture.enrol((0..<512).map { FaceID($0) }, embeddings)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        let before = try fixture.search(Array(embeddings[..<50]), limit: 3, effort: .full).found
        let other = try CodebookTrainer.train(
            sample: source.matrix(rowCount: 2000),
            generation: 1,
            listCount: 16,
            seed: 99,
            shouldStop: { false }
        ).encoded()
        #expect(throws: PartitionError.self) { try fixture.partition.install(codebook: other) }
        #expect(try fixture.search(Array(embeddings[..<50]), limit: 3, effort: .full).found == before)
        try fixture.reopen()
        #expect(try fixture.search(Array(embeddings[..<50]), limit: 3, effort: .full).found == before)
    }

    /// Zero stands for "no codebook" in the state.
    @Test func aCodebookOfGenerationZeroIsRefused() throws {
        let fixture = try PartitionFixture()
        #expect(throws: (any Error).self) {
            try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64, generation: 0))
        }
        #expect(try fixture.partition.statistics().generation == 0)
    }
}

extension PartitionFixture {
    /// Changes the tables of the closed partition behind its back.
    func change(_ body: (PartitionTables, borrowing WriteTransaction) throws -> Void) throws {
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        let environment = try Environment(path: directory, options: options)
        defer { environment.close() }
        let tables = try PartitionTables(environment, create: false)
        try environment.write { transaction in try body(tables, transaction) }
    }
}
