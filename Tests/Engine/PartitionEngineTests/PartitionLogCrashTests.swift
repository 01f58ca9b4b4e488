import FaceModel
import Foundation
import PartitionEngine
import PartitionStore
import Testing

/// The log and the tables are one commit: whatever ends a process or a disk, they agree.
struct PartitionLogCrashTests {
    /// What a partition is, by what can be read of it.
    private struct Held: Equatable {
        var position: LogExtent
        var digest: PartitionDigest?
        var faces: [String]
        var entries: [LogEntry]

        init(_ partition: Partition) throws {
            position = try partition.logExtent()
            digest = try partition.verifyAll()
            #expect(try digest == partition.digest())
            faces = try partition.page(after: nil, limit: .max, byteLimit: .max, includesEmbeddings: true)
                .map { "\($0.id) \($0.version) \($0.embedding!)" }
            entries = try partition.logEntries(from: position.firstLogged, byteLimit: .max)
        }
    }

    /// Steps of a replica's life: enrolments, deletions, a cut suffix, entries that are forgotten.
    private func steps(_ fixture: PartitionFixture) throws -> [LogTransaction] {
        var source = FaceSource(dimension: 64)
        var author = try LogAuthor(fixture.partition, epoch: 1)
        func enrolment(_ first: Int, _ count: Int) -> WriteBatch {
            fixture.enrolment(
                (first..<first + count).map { FaceID($0) },
                (0..<count).map { _ in source.embedding() }
            ) { FaceMetadata(personID: "person \($0.low % 5)") }
        }
        let entries = try [
            author.entry(enrolment(0, 150)), author.entry(enrolment(100, 60)),
            author.entry(.delete((20..<90).map { FaceID($0) })), author.entry(enrolment(200, 30)),
        ]
        author.rewind(to: entries[2])
        author.epoch = 2
        let others = try [author.entry(.beginEpoch), author.entry(enrolment(0, 40))]
        return [
            LogTransaction(promise: 1, append: Array(entries[..<2])), LogTransaction(applyThrough: 1),
            LogTransaction(append: Array(entries[2...]), applyThrough: 3, forgetThrough: 1),
            LogTransaction(promise: 2, truncateAfter: 3, append: others, applyThrough: 4),
            LogTransaction(applyThrough: 5, forgetThrough: 5),
        ]
    }

    /// A copy of the files of an open partition is what a machine has after its process was killed.
    @Test func everyCommitIsWholeInACopyOfTheOpenFiles() throws {
        let fixture = try PartitionFixture()
        for (number, step) in try steps(fixture).enumerated() {
            _ = try fixture.partition.commit(step)
            let copy = "\(fixture.folder.path)/copy \(number)"
            try FileManager.default.createDirectory(atPath: copy, withIntermediateDirectories: false)
            try FileManager.default.copyItem(atPath: "\(fixture.directory)/data.mdb", toPath: "\(copy)/data.mdb")
            let partition = try Partition.open(at: copy, options: fixture.options)
            defer { partition.close() }
            #expect(try Held(partition) == Held(fixture.partition))
        }
    }

    /// The disk has room for one page more with each attempt, so each commit fails at every page that it writes: it has
    /// then happened as a whole or not at all, and can be done again.
    @Test(.enabled(if: SmallDisk.isAvailable))
    func commitsThatFailAtAnyPageLeaveLogAndTablesAsTheyWere() throws {
        let disk = try SmallDisk(byteCount: 1 << 26)
        let fixture = try PartitionFixture(directory: "\(disk.path)/partition")
        var failureCount = 0
        for step in try steps(fixture) {
            let before = try Held(fixture.partition)
            for attempt in 0... {
                try #require(attempt < 2000)
                try disk.resize(byteCount: disk.usedByteCount + attempt * 4096)
                do {
                    _ = try fixture.partition.commit(step)
                    try disk.resize(byteCount: 1 << 26)
                    break
                } catch let error as PartitionError {
                    failureCount += 1
                    #expect(error.requiresReopen && !error.isCorruption, "\(error)")
                    // Until it has been opened again it takes nothing.
                    #expect(throws: PartitionError.self) { try fixture.partition.commit(LogTransaction()) }
                    try disk.resize(byteCount: 1 << 26)
                    try fixture.reopen()
                    #expect(try Held(fixture.partition) == before)
                }
            }
            #expect(try Held(fixture.partition).position.appliedSequence >= before.position.appliedSequence)
        }
        #expect(failureCount > 10)
        let expected = try PartitionFixture()
        for step in try steps(expected) { _ = try expected.partition.commit(step) }
        let (held, wanted) = (try Held(fixture.partition), try Held(expected.partition))
        #expect(held.digest == wanted.digest && held.faces == wanted.faces)
        fixture.partition.close()
    }

    /// Entries go to the log before they are known to be committed: a disk that is nearly full refuses them, and goes
    /// on with those that it has.
    @Test func aDiskBelowItsReserveTakesNoMoreEntries() throws {
        let fixture = try PartitionFixture()
        let steps = try steps(fixture)
        _ = try fixture.partition.commit(steps[0])
        fixture.options.minimumFreeByteCount = 1 << 62
        try fixture.reopen()
        #expect { try fixture.partition.commit(steps[2]) } throws: { error in
            (error as? PartitionError)?.isStorageFull == true
        }
        #expect(try fixture.partition.commit(LogTransaction(applyThrough: 1)).appliedSequence == 1)
        #expect(try fixture.partition.commit(LogTransaction(promise: 9)).promisedEpoch == 9)
        #expect(try fixture.partition.commit(LogTransaction(truncateAfter: 1)).lastSequence == 1)
    }
}
