import FaceModel
import PartitionEngine
import PartitionStore
import Testing

/// How long a log is, told without reading what its entries bring.
struct PartitionLogSizeTests {
    /// A partition with entries that enrol one face each, and three that change nothing, and how long they are: an
    /// entry that brings faces as long as a page at least.
    private func logged(_ count: Int) throws -> (PartitionFixture, byteCounts: [Int]) {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        var author = try LogAuthor(fixture.partition, epoch: 1)
        var entries = try (0..<count).map { try author.entry(fixture.enrolment([FaceID($0)], [source.embedding()])) }
        for _ in 0..<3 { entries.append(try author.entry(.beginEpoch)) }
        let last = UInt64(entries.count)
        _ = try fixture.partition.commit(LogTransaction(promise: 1, append: entries, applyThrough: last))
        let stretches = try fixture.partition.logStretches(of: 0)
        #expect(stretches.map(\.lastSequence) == Array(1...last))
        for (entry, stretch) in zip(entries, stretches) {
            #expect(entry.byteCount <= stretch.byteCount && stretch.byteCount <= max(65_536, entry.byteCount))
            #expect(entry.operation.embeddings != nil || stretch.byteCount == entry.byteCount)
            #expect(stretch.byteCount == fixture.partition.storedByteCount(of: entry))
        }
        return (fixture, stretches.map(\.byteCount))
    }

    @Test func aNewPartitionHasNone() throws {
        let fixture = try PartitionFixture()
        #expect(try fixture.partition.logStretches(of: 100).isEmpty)
    }

    @Test func stretchesHaveAllEntriesAndAtLeastSoManyBytesEach() throws {
        let (fixture, byteCounts) = try logged(40)
        let limit = 3 * byteCounts[0]
        for _ in 0..<2 {
            let stretches = try fixture.partition.logStretches(of: limit)
            #expect(stretches.last?.lastSequence == 43)
            #expect(stretches.map(\.byteCount).reduce(0, +) == byteCounts.reduce(0, +))
            #expect(stretches.dropFirst().allSatisfy { $0.byteCount >= limit && $0.byteCount < 2 * limit })
            var first = 0
            for stretch in stretches {
                #expect(stretch.byteCount == byteCounts[first..<Int(stretch.lastSequence)].reduce(0, +))
                first = Int(stretch.lastSequence)
            }
            try fixture.reopen()
        }
    }

    @Test func whatWasForgottenIsNotCounted() throws {
        let (fixture, byteCounts) = try logged(10)
        _ = try fixture.partition.commit(LogTransaction(forgetThrough: 8))
        let stretches = try fixture.partition.logStretches(of: 0)
        #expect(stretches.map(\.lastSequence) == [9, 10, 11, 12, 13])
        #expect(stretches.map(\.byteCount) == Array(byteCounts[8...]))
    }

    /// Looking at each of millions would take its time.
    @Test func theOlderEntriesShareEvenlyWhatTheTableHasBesides() throws {
        let (fixture, byteCounts) = try logged(40)
        let whole = byteCounts.reduce(0, +)
        let stretches = try fixture.partition.logStretches(of: 0, measuring: 13)
        #expect(stretches.map(\.lastSequence) == Array(1...43))
        #expect(stretches.suffix(13).map(\.byteCount) == byteCounts.suffix(13))
        #expect(Set(stretches.prefix(30).map(\.byteCount)).count == 1)
        let told = stretches.map(\.byteCount).reduce(0, +)
        // As long as entries of one face are, and no longer: what is kept for somebody is not forgotten.
        #expect(told <= whole && told * 10 > whole * 9, "\(told) bytes for \(whole)")
        let few = try fixture.partition.logStretches(of: whole / 5, measuring: 1)
        #expect(few.count < 15 && few.last?.lastSequence == 43)
        #expect(few.map(\.lastSequence) == few.map(\.lastSequence).sorted())
    }
}
