import FaceModel
import Foundation
import PartitionEngine
import PartitionStore
import Synchronization
import Testing

/// What deleted and replaced faces have left leaves the file in time: found by looking through the raw file.
@Suite struct PartitionRemnantTests {
    struct Kind: Sendable, CustomStringConvertible {
        var dimension: Int
        var precision: StoredPrecision
        var isLogged: Bool
        var hasCodes: Bool

        var description: String { "\(dimension) \(precision) \(isLogged ? "logged" : "alone") codes: \(hasCodes)" }
    }

    static let kinds = [
        Kind(dimension: 64, precision: .float16, isLogged: false, hasCodes: true),
        Kind(dimension: 64, precision: .float16, isLogged: true, hasCodes: true),
        Kind(dimension: 512, precision: .float16, isLogged: true, hasCodes: false),
        Kind(dimension: 1024, precision: .float32, isLogged: true, hasCodes: false),
        Kind(dimension: 256, precision: .float32, isLogged: false, hasCodes: false),
    ]

    /// A time of day that is set by hand.
    private final class WallClock: Sendable {
        private let milliseconds = Mutex<Int64>(1_790_000_000_000)

        var now: Timestamp { Timestamp(milliseconds: milliseconds.withLock { $0 }) }

        func pass(_ time: Int64) { milliseconds.withLock { $0 += time } }
    }

    /// A partition with faces of which some have been deleted and some replaced, few in each chunk, and a clock.
    private final class Story {
        static let period = Duration.seconds(900)

        let kind: Kind
        let fixture: PartitionFixture
        let clock = SteppedClock()
        let wallClock = WallClock()
        var source: FaceSource
        var embeddings: [FaceID: [Float]] = [:]
        /// Those that are to be gone, and those that are to be there.
        var scanner = RemnantScanner()
        /// Others were not to be waited for any more.
        private(set) var hasPressed = false

        init(_ kind: Kind) throws {
            self.kind = kind
            source = FaceSource(dimension: kind.dimension)
            fixture = try PartitionFixture(dimension: kind.dimension, precision: kind.precision)
            fixture.options.erasurePeriod = Self.period
            fixture.options.freePageLimit = 50
            fixture.options.steadyClock = { [clock] in clock.now }
            fixture.options.wallClock = { [wallClock] in wallClock.now }
            try fixture.reopen()
            if kind.hasCodes {
                try fixture.partition.install(codebook: FaceSource.codebook(dimension: kind.dimension))
            }
            if kind.isLogged { _ = try fixture.partition.commit(LogTransaction(promise: 2)) }
        }

        var partition: Partition { fixture.partition }

        func write(_ operation: WriteBatch.Operation, key: IdempotencyKey = .random()) throws {
            let batch = WriteBatch(key: key, operation: operation)
            guard kind.isLogged else {
                _ = try partition.write([batch], epoch: 1)
                return
            }
            var author = try LogAuthor(partition, epoch: 2)
            let entry = try author.entry(batch)
            _ = try partition.commit(LogTransaction(append: [entry], applyThrough: entry.sequence))
        }

        /// Enrols faces, some of them one by one, so that entries of the log are of all sizes.
        func enrol(_ numbers: some Sequence<Int>) throws {
            var rest = Array(numbers)[...]
            var round = 0
            while !rest.isEmpty {
                let ids = rest.prefix([1, 25, 2, 12][round % 4]).map { FaceID($0) }
                rest = rest.dropFirst(ids.count)
                round += 1
                for id in ids { embeddings[id] = source.embedding() }
                try write(fixture.enrolment(ids, ids.map { embeddings[$0]! }).operation)
            }
        }

        func delete(_ numbers: [Int]) throws {
            try write(.delete(numbers.map { FaceID($0) }))
            for number in numbers { embeddings[FaceID(number)] = nil }
        }

        /// What the file may have of an embedding: the row, and the row rounded.
        func expect(_ ids: some Sequence<FaceID>, to owner: String) {
            for id in ids {
                let row = embeddings[id]!
                let stored = row.map { kind.precision == .float16 ? Float(Float16($0)) : $0 }
                scanner.add(
                    stored.flatMap { value -> [UInt8] in
                        switch kind.precision {
                        case .float16: withUnsafeBytes(of: Float16(value).bitPattern) { Array($0) }
                        case .float32: withUnsafeBytes(of: value.bitPattern) { Array($0) }
                        }
                    },
                    of: owner
                )
                let scale = stored.reduce(0) { max($0, abs($1)) } / 127
                scanner.add(
                    stored.map { UInt8(bitPattern: Int8(($0 / scale).rounded())) },
                    of: "\(owner), rounded"
                )
            }
        }

        /// 420 faces in three chunks and a tail; some ten are deleted and some ten replaced, twice in one write too.
        func fill() throws {
            try enrol(0..<420)
            try fixture.settle()
            let gone = (0..<420).filter { $0 % 40 == 7 || $0 == 411 }
            let replaced = (0..<420).filter { $0 % 40 == 9 || $0 == 412 }
            expect((gone + replaced).map { FaceID($0) }, to: "gone")
            try delete(gone)
            try enrol(replaced)
            if kind.isLogged {
                // Of two of one face in a write only the last is kept; the other is in the log.
                let twice = [source.embedding(), source.embedding()]
                embeddings[FaceID(900)] = twice[0]
                expect([FaceID(900)], to: "gone")
                embeddings[FaceID(900)] = twice[1]
                try write(fixture.enrolment([FaceID(900), FaceID(900)], twice).operation)
                try write(.beginEpoch)
            }
            expect(embeddings.keys, to: "living")
            try fixture.settle()
        }

        func hits() throws -> [String: Int] { try scanner.hits(in: fixture.folder.path) }

        /// One step, with what a worker does for it.
        func step(isAtOnce: Bool = false) throws -> ErasingStep {
            let step = try partition.eraseRemnants(isAtOnce: isAtOnce)
            if case .needsLogForgotten(let sequence, let isPressing) = step {
                if isPressing { hasPressed = true }
                let extent = try partition.logExtent()
                let through = min(sequence, extent.appliedSequence - 1)
                try #require(through >= extent.firstLogged)
                _ = try partition.commit(LogTransaction(forgetThrough: through))
            }
            return step
        }

        /// Erases until there is nothing to do; how many steps that took.
        @discardableResult
        func erase(recodes: Bool = true) throws -> Int {
            for count in 0..<1000 {
                switch try step() {
                case .idle: return count
                case .waits: if try !(recodes && partition.recode()) { try fixture.settle() }
                case .advanced, .needsLogForgotten: break
                }
                // A merge that maintenance is to begin again, and codes that it is to remove.
                if count % 16 == 15 { try fixture.settle() }
            }
            Issue.record("erasing does not end")
            return 0
        }

        func expectClean(_ comment: Comment = "") throws {
            let hits = try hits()
            #expect(hits["gone"] == nil && hits["gone, rounded"] == nil, comment)
            #expect(hits["living", default: 0] > 300 && hits["living, rounded", default: 0] > 100, comment)
            #expect(try partition.verifyAll() == partition.digest(), comment)
        }
    }

    @Test(arguments: kinds)
    func nothingOfWhatIsGoneIsInAnyFile(_ kind: Kind) throws {
        let story = try Story(kind)
        try story.fill()
        let before = try story.hits()
        #expect(before["gone", default: 0] > 20 && before["gone, rounded", default: 0] > 10)
        // Not before its time.
        #expect(try story.erase() == 0)
        story.clock.pass(Story.period / 3 - .seconds(1))
        #expect(try story.erase() == 0)
        #expect(try story.partition.remnantAge() == Story.period / 3 - .seconds(1))
        story.clock.pass(.seconds(1))
        let probes = [story.source.embedding()]
        let found = try story.fixture.search(probes, limit: 30).found
        #expect(try story.erase() > 5)
        try story.expectClean()
        #expect(try story.partition.remnantAge() == nil)
        #expect(try story.fixture.search(probes, limit: 30).found == found)
        // And so after everything was moved and written again.
        try story.enrol(1000..<1100)
        try story.fixture.settle()
        try story.expectClean()
    }

    /// A round that a restart cuts short begins anew at once, wherever it was; its time does not begin anew.
    @Test func aRestartCutsARoundShortAndDoesNotPutItOff() throws {
        for cut in [1, 2, 4, 7, 11, 30] {
            let story = try Story(Self.kinds[1])
            try story.fill()
            story.clock.pass(Story.period / 3)
            for _ in 0..<cut { _ = try story.step() }
            try story.fixture.reopen()
            let age = try story.partition.remnantAge()
            #expect(try story.erase() > 0 || age == nil, "\(cut)")
            try story.expectClean("\(cut)")
        }
    }

    /// The partition's own clock stands still meanwhile: the time of day says how long it was.
    @Test func timeThatNobodyHadItOpenCounts() throws {
        let story = try Story(Self.kinds[0])
        try story.fill()
        story.clock.pass(Story.period / 6)
        story.wallClock.pass(150_000)
        story.partition.close()
        story.wallClock.pass(150_000)
        try story.fixture.reopen()
        #expect(try story.partition.remnantAge() == .seconds(300))
        #expect(try story.erase() > 0)
        try story.expectClean()
        // Set back, it puts nothing off.
        let number = try #require(story.embeddings.keys.map { Int($0.low & 0xffff) }.first { $0 < 400 })
        try story.delete([number])
        story.wallClock.pass(-1_000_000)
        story.clock.pass(Story.period / 3)
        #expect(try story.erase() > 0)
    }

    /// What a machine has after its process was killed behind any step: whole, and cleaned by going on.
    @Test(arguments: [kinds[0], kinds[2]])
    func theFileIsWholeBehindEveryStep(_ kind: Kind) throws {
        let story = try Story(kind)
        try story.fill()
        story.clock.pass(Story.period / 3)
        let digest = try story.partition.digest()
        for number in 0..<1000 {
            let step = try story.step()
            if step == .waits { try story.fixture.settle() }
            if step == .idle { break }
            let directory = "\(story.fixture.folder.path)-\(number)"
            defer { try? FileManager.default.removeItem(atPath: directory) }
            try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: false)
            try FileManager.default.copyItem(
                atPath: "\(story.fixture.directory)/data.mdb",
                toPath: "\(directory)/data.mdb"
            )
            let copy = try Partition.open(at: directory, options: story.fixture.options)
            defer { copy.close() }
            #expect(try copy.verifyAll() == digest, "\(number)")
            if number % 5 != 0 { continue }
            for steps in 0..<1000 {
                let step = try copy.eraseRemnants()
                if step == .idle { break }
                if case .needsLogForgotten(let sequence, _) = step {
                    let applied = try copy.logExtent().appliedSequence
                    _ = try copy.commit(LogTransaction(forgetThrough: min(sequence, applied - 1)))
                }
                if step == .waits || steps % 16 == 15 {
                    while try copy.maintain(now: Timestamp(milliseconds: 0)) != nil {}
                }
            }
            let hits = try story.scanner.hits(in: directory)
            #expect(hits["gone"] == nil && hits["gone, rounded"] == nil, "\(number)")
            #expect(hits["living", default: 0] > 300, "\(number)")
        }
        try story.expectClean()
    }

    /// Faces come, go and move between the steps: what was gone when the round began goes with it, the rest with the
    /// next one.
    @Test(arguments: [kinds[0], kinds[1]])
    func writesGoOnMeanwhile(_ kind: Kind) throws {
        let story = try Story(kind)
        try story.fill()
        story.clock.pass(Story.period / 3)
        var next = 2000
        var step = try story.step()
        while step != .idle {
            // The round's faces are known; of those that come and go from now on nothing is said yet.
            try story.enrol(next..<next + 5)
            try story.delete([next, next + 1])
            next += 5
            _ = try story.fixture.maintain(now: Timestamp(milliseconds: 0))
            if step == .waits { try story.fixture.settle() }
            step = try story.step()
            try #require(next < 7000)
        }
        try story.expectClean()
        #expect(try story.partition.remnantAge() == .zero)
        let last = story.embeddings.keys.filter { $0.low & 0xffff >= 2000 }
        story.expect(last, to: "gone")
        try story.write(.delete(Array(last)))
        if kind.isLogged { try story.write(.beginEpoch) }
        story.clock.pass(Story.period / 3)
        #expect(try story.erase() > 0)
        try story.expectClean()
    }

    @Test func aReaderIsWaitedFor() throws {
        let story = try Story(Self.kinds[0])
        try story.fill()
        story.clock.pass(Story.period / 3)
        _ = try story.step()
        var steps: [ErasingStep] = []
        _ = try story.partition.verifyAll {
            // Within a read of the last commit.
            if steps.isEmpty {
                for _ in 0..<60 { steps.append((try? story.step()) ?? .idle) }
            }
            return false
        }
        // Chunks and codes go on: the reader keeps what it sees of them. Their pages have to wait.
        #expect(steps.last == .waits)
        #expect(try story.hits()["gone", default: 0] > 0)
        #expect(try story.erase() > 0)
        try story.expectClean()
    }

    /// One that may have a dead row for a live one: what it copies of the unfinished chunk, other searches use.
    @Test func aReaderFromBeforeTheRoundIsWaitedForFirst() throws {
        let story = try Story(Self.kinds[0])
        try story.fill()
        story.clock.pass(Story.period / 3)
        var steps: [ErasingStep] = []
        _ = try story.partition.verifyAll {
            if steps.isEmpty {
                for _ in 0..<5 { steps.append((try? story.step()) ?? .idle) }
            }
            return false
        }
        #expect(steps == [.advanced] + [ErasingStep](repeating: .waits, count: 4))
        #expect(try story.erase() > 0)
        try story.expectClean()
    }

    /// A face that is deleted after the round has begun is alive for a reader from in between, which searches what
    /// others have copied of the unfinished chunk.
    @Test func aReaderFromBetweenFindsWhatWasDeletedBehindIt() throws {
        let story = try Story(Self.kinds[0])
        try story.fill()
        story.clock.pass(Story.period / 3)
        #expect(try story.step() == .advanced)
        let probe = try #require(story.embeddings[FaceID(400)])
        var inner: [PartitionSearchAnswer] = []
        let outer = try story.fixture.search([probe], limit: 1) {
            if inner.isEmpty {
                do {
                    // It has not come to the unfinished chunk yet.
                    try story.delete([400])
                    #expect(try story.step() == .advanced)
                    inner.append(try story.fixture.search([probe], limit: 1))
                } catch {
                    Issue.record("\(error)")
                }
            }
            return false
        }
        #expect(inner.map { $0.matches[0].map(\.faceID) } != [[FaceID(400)]])
        #expect(outer.matches[0].map(\.faceID) == [FaceID(400)])
        #expect(outer.matches[0].allSatisfy { $0.similarity > 0.999 })
        #expect(try story.erase() > 0)
        try story.expectClean()
    }

    /// Runs with dead rows are written again, however few those are.
    @Test func codesOfDeadRowsGo() throws {
        let story = try Story(Self.kinds[0])
        try story.enrol(0..<384)
        try story.fixture.settle()
        try story.delete([3, 200, 380])
        try story.fixture.settle()
        let before = try story.partition.statistics()
        #expect(before.freshCount == 0 && before.runCount > 0 && before.tombstoneCount == 3)
        story.clock.pass(Story.period / 3)
        #expect(try story.erase() > 0)
        let after = try story.partition.statistics()
        #expect(after.runCount > 0 && after.tombstoneCount == 0)
        #expect(try story.partition.verifyAll() == story.partition.digest())
    }

    /// Codes of an older codebook go when their rows have been coded again, however long that is put off: rows, the log
    /// and free pages do not wait for it, nor does what is deleted meanwhile.
    @Test(arguments: [kinds[0], kinds[1]])
    func codesOfAnOlderCodebookHoldUpNothingElse(_ kind: Kind) throws {
        let story = try Story(kind)
        try story.enrol(0..<384)
        try story.fixture.settle()
        try story.partition.install(codebook: FaceSource.codebook(dimension: kind.dimension, generation: 2))
        try story.enrol(1000..<1300)
        try story.fixture.settle()
        try #require(story.partition.statistics().olderRowCount == 384)
        story.expect([3, 200, 1010].map { FaceID($0) }, to: "gone")
        try story.delete([3, 200, 1010])
        story.expect(story.embeddings.keys.filter { $0 != FaceID(5) }, to: "living")
        #expect(try story.hits()["gone", default: 0] > 3)
        story.clock.pass(Story.period / 3)
        #expect(try story.erase(recodes: false) > 5)
        try story.expectClean("the first")
        // Two codes are left, and told of.
        #expect(try story.partition.remnantAge() == Story.period / 3)
        #expect(try story.partition.statistics().tombstoneCount == 2)
        // The next has a round of its own, in its own time, and presses nobody before.
        story.expect([FaceID(5)], to: "gone")
        try story.delete([5])
        #expect(try story.erase(recodes: false) == 0)
        story.clock.pass(Story.period / 3)
        #expect(try story.erase(recodes: false) > 5)
        try story.expectClean("the second")
        #expect(try story.partition.remnantAge() == Story.period / 3 * 2)
        #expect(try story.partition.statistics().tombstoneCount == 3)
        #expect(!story.hasPressed)
        // No round follows the other for nothing: now and then, in case that some of the codes have gone.
        #expect(try story.erase(recodes: false) == 0)
        story.clock.pass(Story.period / 3)
        #expect(try story.erase(recodes: false) > 5)
        #expect(try story.erase(recodes: false) == 0)
        // A restart does not know what the last round had left.
        try story.fixture.reopen()
        #expect(try story.erase(recodes: false) > 5)
        #expect(try story.erase(recodes: false) == 0)
        #expect(try story.partition.remnantAge() != nil)
        while try story.partition.recode() {}
        #expect(try story.erase() > 5)
        try story.expectClean("coded again")
        #expect(try story.partition.remnantAge() == nil)
        #expect(try story.partition.statistics().tombstoneCount == 0)
    }

    /// Others have two thirds of the time to take what they want of the log.
    @Test func theLogIsToBeForgottenAndIsPressingInTheEnd() throws {
        let story = try Story(Self.kinds[1])
        try story.fill()
        let last = try story.partition.logExtent().lastSequence
        story.clock.pass(Story.period / 3)
        var step = ErasingStep.idle
        for count in 0..<200 {
            step = try story.partition.eraseRemnants()
            if case .needsLogForgotten = step { break }
            if count % 16 == 15 { try story.fixture.settle() }
        }
        #expect(step == .needsLogForgotten(through: last, isPressing: false))
        #expect(try story.partition.eraseRemnants() == step)
        story.clock.pass(Story.period / 3)
        #expect(try story.partition.eraseRemnants() == .needsLogForgotten(through: last, isPressing: true))
        #expect(try story.erase() > 0)
        try story.expectClean()
    }

    /// An enrolment that comes again under its key is in the log again, whatever became of its face.
    @Test func whatComesAgainIsErasedAgain() throws {
        let story = try Story(Self.kinds[1])
        try story.enrol(0..<200)
        let (face, embedding, key) = (FaceID(300), story.source.embedding(), IdempotencyKey.random())
        let enrolment = story.fixture.enrolment([face], [embedding]).operation
        story.embeddings[face] = embedding
        story.expect([face], to: "gone")
        try story.write(enrolment, key: key)
        try story.delete([300])
        story.expect(story.embeddings.keys, to: "living")
        story.clock.pass(Story.period / 3)
        try story.erase()
        #expect(try story.hits()["gone"] == nil)
        try story.write(enrolment, key: key)
        try story.write(.beginEpoch)
        #expect(try story.hits()["gone"] != nil)
        story.clock.pass(Story.period / 3)
        try story.erase()
        #expect(try story.hits()["gone"] == nil)
    }

    /// Of two of one face in a write only the last is kept; the other is in the log, and nothing else was deleted.
    @Test func whatItsOwnWriteReplacesIsErased() throws {
        let story = try Story(Self.kinds[1])
        let twice = [story.source.embedding(), story.source.embedding()]
        story.embeddings[FaceID(900)] = twice[0]
        story.expect([FaceID(900)], to: "gone")
        try story.write(story.fixture.enrolment([FaceID(900), FaceID(900)], twice).operation)
        try story.write(.beginEpoch)
        #expect(try story.hits()["gone"] != nil)
        story.clock.pass(Story.period / 3)
        #expect(try story.erase() > 0)
        #expect(try story.hits()["gone"] == nil)
    }

    /// A copy owes what its partition owed.
    @Test func aCopyIsErasedInTheTimeOfItsPartition() throws {
        let story = try Story(Self.kinds[0])
        try story.fill()
        let directory = "\(story.fixture.folder.path)/copy"
        #expect(try story.partition.copy(to: directory) != nil)
        let copy = try PartitionFixture(opening: directory, options: story.fixture.options)
        #expect(try story.scanner.hits(in: directory)["gone", default: 0] > 0)
        #expect(try copy.partition.eraseRemnants() == .idle)
        // Its own clock begins with it: what passed before is known by the time of day.
        story.clock.pass(.seconds(1))
        story.wallClock.pass(Int64(Story.period / .milliseconds(3)))
        for _ in 0..<200 where try copy.partition.eraseRemnants() == .waits { try copy.settle() }
        let hits = try story.scanner.hits(in: directory)
        #expect(hits["gone"] == nil && hits["living", default: 0] > 300)
    }

    @Test func anAskedForRoundDoesNotWaitForItsTime() throws {
        let story = try Story(Self.kinds[0])
        #expect(try story.step(isAtOnce: true) == .idle)
        try story.fill()
        #expect(try story.step(isAtOnce: true) == .advanced)
        #expect(try story.erase() > 0)
        try story.expectClean()
    }
}

/// When rounds begin, and for how long others are waited for.
@Suite struct ErasureScheduleTests {
    @Test(arguments: [1, 90, 86_400])
    func roundsBeginInTime(seconds: Int) {
        let schedule = ErasureSchedule(period: .seconds(seconds))
        let third = Duration.seconds(seconds) / 3
        #expect(!schedule.beginsRound(atAge: third - .milliseconds(1)))
        #expect(schedule.beginsRound(atAge: third + .milliseconds(1)))
        #expect(!schedule.isPressing(atAge: third * 2 - .milliseconds(1)))
        #expect(schedule.isPressing(atAge: third * 2 + .milliseconds(1)))
        // A copy that was made when a remnant was a third old is gone before its time.
        #expect(third + schedule.longestCopy < schedule.period)
    }

    /// Rounds that take up to half of the period, deletions at any moment.
    @Test func whateverIsDeletedIsGoneInTime() {
        let schedule = ErasureSchedule(period: .seconds(1200))
        for length in [1, 200, 399, 600] {
            for interval in [1, 7, 130, 401, 950] {
                var oldest: Int?
                var round: (oldest: Int, end: Int)?
                for now in 0..<20_000 {
                    if now % interval == 0 { oldest = oldest ?? now }
                    if let under = round, now >= under.end {
                        #expect(now - under.oldest <= 1200, "\(length) \(interval)")
                        round = nil
                    }
                    guard round == nil, let found = oldest, schedule.beginsRound(atAge: .seconds(now - found)) else {
                        continue
                    }
                    round = (found, now + length)
                    oldest = nil
                }
            }
        }
    }
}
