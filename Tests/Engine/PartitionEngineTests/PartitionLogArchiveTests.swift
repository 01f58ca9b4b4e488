import FaceModel
import FaceRecords
import PartitionEngine
import PartitionStore
import Testing
import VectorMath

/// What an archive takes of a partition's log, and what a restore makes of it.
@Suite struct PartitionLogArchiveTests {
    private typealias Content = [FaceID: ArchivedFaces]

    /// Every face as it is stored.
    private static func content(_ partition: Partition) throws -> Content {
        var reader = RingReader(partition)
        var content: Content = [:]
        for slice in 0..<256 {
            let page = try reader.page(slice: slice, offset: 0, limit: .max >> 1, byteLimit: .max >> 1)
            for row in page.faces.rows.indices { content[page.faces.rows[row].id] = page.faces.rows([row]) }
        }
        return content
    }

    private static func logged() throws -> (PartitionFixture, LogAuthor) {
        let fixture = try PartitionFixture()
        _ = try fixture.partition.commit(LogTransaction(promise: 9))
        return (fixture, try LogAuthor(fixture.partition, epoch: 4))
    }

    private static func apply(_ entry: LogEntry, to partition: Partition) throws {
        _ = try partition.commit(LogTransaction(append: [entry], applyThrough: entry.sequence))
    }

    private static func archived(
        _ partition: Partition,
        after position: ArchivePosition?,
        now: Int64 = 1 << 40,
        byteLimit: Int = 3000
    ) throws -> ArchivedEntries {
        try partition.archivedEntries(
            after: position,
            through: .max,
            now: Timestamp(milliseconds: now),
            byteLimit: byteLimit
        )
    }

    /// From any cut to any later entry: what the log makes of the faces at the cut is what the partition then held.
    @Test(arguments: 0..<4)
    func aReplayComesToWhatThePartitionHeld(number: Int) throws {
        let (fixture, begun) = try Self.logged()
        var author = begun
        let seed = testSeed &+ UInt64(number)
        var random = SplitMix64(seed: seed)
        var source = FaceSource(dimension: fixture.dimension, seed: seed)
        let start = try Self.archived(fixture.partition, after: nil)
        #expect(start.entries.isEmpty && !start.continues && start.end.sequence == 0)
        var states = [try Self.content(fixture.partition)]
        var batches: [WriteBatch] = []
        var time: Int64 = 1000
        for step in 0..<60 {
            let ids = (0..<Int.random(in: 1...9, using: &random)).map { _ in
                FaceID(Int.random(in: 0..<40, using: &random))
            }
            let batch: WriteBatch
            switch Int.random(in: 0..<12, using: &random) {
            case 0..<6:
                // Of several of one id in a batch the last counts.
                batch = fixture.enrolment(ids, ids.map { _ in source.embedding() }) { face in
                    FaceMetadata(
                        personID: "person-\(step)",
                        expires: face.low % 3 == 0 ? Timestamp(milliseconds: time + Int64(face.low % 50)) : nil
                    )
                }
            case 6, 7: batch = WriteBatch(key: fixture.nextKey(), operation: .delete(ids))
            case 8: batch = WriteBatch(key: .random(), operation: .timeMark(Timestamp(milliseconds: time)))
            case 9:
                batch = WriteBatch(key: .random(), operation: .expire(at: Timestamp(milliseconds: time), faces: ids))
            case 10: batch = WriteBatch(key: .random(), operation: .beginEpoch)
            default:
                // A write that is sent again changes nothing, whatever came between.
                guard let earlier = batches.randomElement(using: &random) else { continue }
                batch = earlier
            }
            if case .enrol = batch.operation { batches.append(batch) }
            if case .delete = batch.operation { batches.append(batch) }
            time += Int64.random(in: 0...20, using: &random)
            if Int.random(in: 0..<15, using: &random) == 0 { author.epoch += 1 }
            try Self.apply(try author.entry(batch), to: fixture.partition)
            states.append(try Self.content(fixture.partition))
        }
        var entries: [ArchivedEntry] = []
        var position = start.end
        while true {
            let page = try Self.archived(fixture.partition, after: position)
            #expect(page.continues && page.start == position)
            entries += page.entries
            position = page.end
            if page.remainingCount == 0 { break }
        }
        #expect(entries.count == states.count - 1)
        #expect(zip(entries, entries.dropFirst()).allSatisfy { $0.time <= $1.time })

        for cut in stride(from: 0, through: entries.count, by: 7) {
            for last in [cut, (cut + entries.count) / 2, entries.count] {
                // Read from the archive's start on, as a segment that begins before the cut.
                let version = FaceVersion(
                    epoch: cut == 0 ? 0 : try LogEntry(bytes: entries[cut - 1].bytes).epoch,
                    sequence: UInt64(cut)
                )
                var replay = LogReplay(after: version, from: start.end)
                for entry in entries[..<last] { try replay.add(entry) }
                #expect(replay.position.sequence == UInt64(last))
                var content = states[cut].filter { replay.keeps($0.value.rows[0]) }
                for entry in entries[..<last] {
                    guard let faces = try replay.faces(of: entry) else { continue }
                    for row in faces.rows.indices {
                        let id = faces.rows[row].id
                        #expect(
                            content.updateValue(faces.rows([row]), forKey: id) == nil,
                            "seed \(seed): brought twice"
                        )
                    }
                }
                #expect(content == states[last], "seed \(seed), from \(cut) to \(last)")
            }
        }
        // An entry left out, or of another history, is none.
        var replay = LogReplay(after: FaceVersion(epoch: 0, sequence: 0), from: start.end)
        try replay.add(entries[0])
        #expect(throws: LogReplayError.notNext(sequence: 2)) { try replay.add(entries[2]) }
        var other = LogReplay(after: FaceVersion(epoch: 99, sequence: 1), from: start.end)
        #expect(throws: LogReplayError.otherHistory(sequence: 1)) { try other.add(entries[0]) }
        // Nor is one that begins just behind the cut, at another epoch.
        var behind = start.end
        behind.epoch = 98
        other = LogReplay(after: FaceVersion(epoch: 99, sequence: 0), from: behind)
        #expect(throws: LogReplayError.otherHistory(sequence: 0)) { try other.add(entries[0]) }
        let epoch = try LogEntry(bytes: entries[0].bytes).epoch
        #expect(LogReplay.epoch(of: entries[0]) == epoch)
        var damaged = entries[1]
        damaged.bytes[70 % damaged.bytes.count] ^= 1
        #expect(throws: LogReplayError.self) { try replay.add(damaged) }
    }

    /// Behind a backup that was cut before anybody archived the log.
    @Test func anArchiveBeginsWithWhatTheLogStillHas() throws {
        let (fixture, begun) = try Self.logged()
        var author = begun
        var source = FaceSource(dimension: fixture.dimension)
        for id in 1...6 {
            let batch = fixture.enrolment([FaceID(id)], [source.embedding()])
            try Self.apply(try author.entry(batch), to: fixture.partition)
        }
        let page = try Self.archived(fixture.partition, after: nil, now: 5000, byteLimit: 1 << 20)
        #expect(!page.continues && page.start.sequence == 1 && page.end.sequence == 6 && page.remainingCount == 0)
        // Nothing tells when they were ordered, but that it was by now.
        #expect(page.entries.count == 5 && page.entries.allSatisfy { $0.time == Timestamp(milliseconds: 5000) })
        var replay = LogReplay(after: FaceVersion(epoch: 4, sequence: 3), from: page.start)
        for entry in page.entries { try replay.add(entry) }
        #expect(replay.position == page.end)
        let next = try Self.archived(fixture.partition, after: page.end)
        #expect(next.continues && next.entries.isEmpty)
    }

    @Test func anArchiveThatBeginsPromisesNoMomentBeforeAPageThatEndsWithoutATime() throws {
        let (fixture, begun) = try Self.logged()
        var author = begun
        var source = FaceSource(dimension: fixture.dimension)
        var byteCounts: [Int] = []
        func write(_ batch: WriteBatch) throws {
            let entry = try author.entry(batch)
            byteCounts.append(entry.byteCount)
            try Self.apply(entry, to: fixture.partition)
        }
        func mark(_ time: Int64) throws {
            try write(WriteBatch(key: .random(), operation: .timeMark(Timestamp(milliseconds: time))))
        }
        func enrol(_ id: Int) throws { try write(fixture.enrolment([FaceID(id)], [source.embedding()])) }
        try mark(1000)
        try enrol(1)
        // Another primary, which has not marked anything yet.
        author.epoch += 1
        for id in 2...3 { try enrol(id) }
        try mark(2000)
        try enrol(4)
        let cut = byteCounts[1] + byteCounts[2]
        let page = try Self.archived(fixture.partition, after: nil, now: 9000, byteLimit: cut)
        #expect(page.entries.count == 2 && page.remainingCount == 3)
        #expect(page.start.time == Timestamp(milliseconds: 9000))
        let whole = try Self.archived(fixture.partition, after: nil, now: 9000, byteLimit: 1 << 20)
        #expect(whole.start.time == Timestamp(milliseconds: 1000) && whole.end.time == Timestamp(milliseconds: 2000))
    }

    @Test func aWriteWhoseReceiptIsForgottenIsKnownByItsKey() throws {
        let (fixture, begun) = try Self.logged()
        var author = begun
        var source = FaceSource(dimension: fixture.dimension)
        let first = fixture.enrolment([FaceID(1)], [source.embedding()])
        let between = fixture.enrolment([FaceID(1)], [source.embedding()])
        let start = try Self.archived(fixture.partition, after: nil)
        for batch in [first, between, first] { try Self.apply(try author.entry(batch), to: fixture.partition) }
        var page = try Self.archived(fixture.partition, after: start.end, byteLimit: 1 << 20)
        #expect(page.entries.map(\.effect) == [.applied, .applied, .repeated])
        for index in page.entries.indices { page.entries[index].effect = .unknown }
        var replay = LogReplay(after: FaceVersion(epoch: 0, sequence: 0), from: start.end)
        for entry in page.entries { try replay.add(entry) }
        #expect(try page.entries.map { try replay.faces(of: $0)?.rows.map(\.version.sequence) } == [nil, [2], nil])
    }

    /// An archive of the log of a collection that was itself restored.
    @Test func facesThatComeBehindTheEndOfARestorationAreNotReplayed() throws {
        let (fixture, begun) = try Self.logged()
        var author = begun
        let backup = try PartitionRestorationTests.backup()
        let gone = backup.rows.map(\.id)
        let start = try Self.archived(fixture.partition, after: nil)
        let operations: [WriteBatch.Operation] = [
            .restore(backup, isLast: false), .restore(backup.rows([]), isLast: true), .delete(gone),
            .restore(backup, isLast: false),
        ]
        for operation in operations { try Self.apply(try author.entry(operation), to: fixture.partition) }
        let page = try Self.archived(fixture.partition, after: start.end, byteLimit: 1 << 20)
        #expect(page.entries.map(\.effect) == [.applied, .applied, .applied, .repeated])
        var replay = LogReplay(after: FaceVersion(epoch: 0, sequence: 0), from: start.end)
        for entry in page.entries { try replay.add(entry) }
        for entry in page.entries { #expect(try replay.faces(of: entry) == nil) }
        #expect(try Self.content(fixture.partition).isEmpty)
    }

    @Test func whatTheLogHasNoMoreIsAGap() throws {
        let (fixture, begun) = try Self.logged()
        var author = begun
        var source = FaceSource(dimension: fixture.dimension)
        let start = try Self.archived(fixture.partition, after: nil, now: 500)
        #expect(start.end.time == Timestamp(milliseconds: 500))
        var entries: [LogEntry] = []
        for number in 0..<8 {
            let mark = WriteBatch(key: .random(), operation: .timeMark(Timestamp(milliseconds: Int64(1000 + number))))
            for batch in [mark, fixture.enrolment([FaceID(number)], [source.embedding()])] {
                entries.append(try author.entry(batch))
                try Self.apply(entries.last!, to: fixture.partition)
            }
        }
        let whole = try Self.archived(fixture.partition, after: start.end, byteLimit: 1 << 20)
        #expect(whole.continues && whole.entries.map(\.time.milliseconds) == (0..<16).map { 1000 + $0 / 2 })
        #expect(whole.entries.map(\.bytes) == entries.map { $0.encoded() })
        _ = try fixture.partition.commit(LogTransaction(forgetThrough: 7))
        // Behind what is kept it goes on, and before that it begins anew with what there is.
        let seventh = ArchivePosition(
            sequence: 7,
            epoch: 4,
            chain: entries[6].chain,
            time: Timestamp(milliseconds: 1003)
        )
        let kept = try Self.archived(fixture.partition, after: seventh, byteLimit: 1 << 20)
        #expect(kept.continues && kept.start == seventh && kept.end == whole.end)
        let anew = try Self.archived(fixture.partition, after: start.end, byteLimit: 1 << 20)
        #expect(!anew.continues && anew.start.sequence == 8 && anew.end == whole.end)
        // The time of the entry that it begins behind is known by the next mark only.
        #expect(anew.start.time == Timestamp(milliseconds: 1004))
        // The end of another history is no place to go on from.
        var other = whole.end
        other.chain ^= 1
        #expect(!(try Self.archived(fixture.partition, after: other).continues))
        for sequence in [whole.end.sequence + 5, .max] {
            other = whole.end
            other.sequence = sequence
            #expect(!(try Self.archived(fixture.partition, after: other).continues))
        }
        let end = try Self.archived(fixture.partition, after: whole.end)
        #expect(end.continues && end.entries.isEmpty && end.start == end.end)
    }

    @Test func aNewPrimaryThatHasYetToApplyGoesOn() throws {
        let (fixture, begun) = try Self.logged()
        var author = begun
        var source = FaceSource(dimension: fixture.dimension)
        var entries: [LogEntry] = []
        for number in 0..<3 {
            entries.append(try author.entry(fixture.enrolment([FaceID(number)], [source.embedding()])))
        }
        _ = try fixture.partition.commit(LogTransaction(append: entries, applyThrough: 1))
        let ahead = ArchivePosition(sequence: 3, epoch: 4, chain: entries[2].chain, time: Timestamp(milliseconds: 7))
        let page = try Self.archived(fixture.partition, after: ahead)
        #expect(page.continues && page.entries.isEmpty && page.end == ahead && page.remainingCount == 0)
    }

    @Test func entriesWithoutAMarkAreDatedLater() throws {
        let (fixture, begun) = try Self.logged()
        var author = begun
        var source = FaceSource(dimension: fixture.dimension)
        func write(_ number: Int) throws -> LogEntry {
            try author.entry(fixture.enrolment([FaceID(number)], [source.embedding()]))
        }
        func mark(_ time: Int64) throws -> LogEntry { try author.entry(.timeMark(Timestamp(milliseconds: time))) }
        var entries = [try write(0), try mark(100), try write(1), try mark(90), try write(2)]
        #expect(!(try fixture.partition.hasRecentTimeMark(byteLimit: 1 << 20)))
        author.epoch = 5
        // The new primary makes none before it has been asked.
        entries += [try write(3), try mark(140), try write(4)]
        author.epoch = 6
        entries += [try write(5)]
        for entry in entries { try Self.apply(entry, to: fixture.partition) }
        let start = ArchivePosition(sequence: 0, epoch: 4, chain: 0, time: Timestamp(milliseconds: 50))
        var dating = EntryDating(after: start)
        for entry in entries { dating.add(entry) }
        let times = dating.times(until: Timestamp(milliseconds: 200)).map(\.milliseconds)
        #expect(times == [50, 100, 100, 100, 100, 140, 140, 140, 200])
        #expect(try fixture.partition.hasRecentTimeMark(byteLimit: 1 << 20))
        #expect(!(try fixture.partition.hasRecentTimeMark(byteLimit: 1)))
    }
}
