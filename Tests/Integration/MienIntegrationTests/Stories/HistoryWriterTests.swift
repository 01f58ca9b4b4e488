import MienClient
import Testing

/// Histories made by hand, and what may be found of them. A batch is under way for 5 of 10 seconds.
struct HistoryWriterTests {
    typealias Instant = HistoryWriter.Instant

    private struct Story {
        let origin: Instant
        /// Before the first batch: the second writer is 2 s behind the first.
        let lag: Duration
        var writer: HistoryWriter
        /// The faces that a collection has after each batch, with their versions.
        var contents: [[Face.ID: Int]] = [[:]]

        init(_ batchCount: Int, number: Int = 1, from origin: Instant = .now) {
            self.origin = origin
            lag = .seconds(2 * number)
            writer = HistoryWriter(seed: UInt64(number), number: number)
            for _ in 0..<batchCount { write() }
        }

        private mutating func write() {
            let batch = writer.nextBatch()
            let number = contents.count
            writer.note(batch, began: began(number), ended: began(number) + .seconds(5))
            var content = contents[number - 1]
            for face in batch.faces { content[face] = batch.version }
            contents.append(content)
        }

        func began(_ batch: Int) -> Instant { origin + lag + .seconds(10 * batch) }

        /// A moment between a batch and the next one.
        func after(_ batch: Int) -> ClosedRange<Instant> {
            let moment = began(batch) + .seconds(7)
            return moment...moment
        }

        /// What a restored cut has that was made after a batch: not what was deleted later.
        func restored(_ batch: Int) -> [Face.ID: Int] {
            let deletions = stride(from: 5, to: contents.count, by: 5).filter { $0 > batch }
            return contents[batch].filter { face, _ in
                !deletions.contains { contents[$0 - 1][face] != nil && contents[$0][face] == nil }
            }
        }

        func fault(_ found: [Face.ID: Int], between bounds: ClosedRange<Instant>? = nil) -> String? {
            HistoryWriter.fault(of: [writer], in: [found], between: bounds)
        }
    }

    /// Of a collection that nobody writes to any more everything is due.
    @Test func whatWasAcknowledgedIsAllDue() {
        // Ten minutes ago.
        let story = Story(12, from: Instant.now - .seconds(600))
        let none = story.fault([:])
        #expect(none != nil, "nothing is there of what was acknowledged")
        let all = story.fault(story.contents[12])
        #expect(all == nil)
        for batch in 0..<12 {
            let older = story.fault(story.contents[batch])
            #expect(older != nil, "it is the state after batch \(batch) of 12")
        }
        var one = story.contents[12]
        one[one.keys.sorted()[3]] = nil
        let lacking = story.fault(one)
        #expect(lacking != nil, "a face is missing")
    }

    @Test func aDeletedFaceThatIsThereIsAFault() throws {
        let story = Story(10, from: Instant.now - .seconds(600))
        let deleted = try #require(story.contents[9].first { story.contents[10][$0.key] == nil })
        var content = story.contents[10]
        content[deleted.key] = deleted.value
        let live = story.fault(content)
        #expect(live != nil)
        let restored = story.fault(content, between: story.after(9))
        #expect(restored != nil, "it was deleted after the cut")
    }

    /// Nothing that was acknowledged before the command began is missing, and nothing is there that was sent after it
    /// ended.
    @Test func aCutIsOfAMomentBetweenTheBounds() {
        let story = Story(14)
        let bounds = story.after(6).lowerBound...story.after(8).upperBound
        for batch in 0...14 {
            let fault = story.fault(story.restored(batch), between: bounds)
            // The batches 5 and 10 only delete: what is restored from before is the same as from after.
            #expect((fault == nil) == (6...8).contains(batch), "batch \(batch): \(fault ?? "none")")
        }
        let none = story.fault([:], between: bounds)
        #expect(none != nil)
    }

    @Test func ofTheBatchThatIsUnderWayAPartMayBeThere() throws {
        let story = Story(8)
        let whole = story.restored(6)
        let new = try #require(story.restored(7).first { whole[$0.key] == nil })
        var part = whole
        part[new.key] = new.value
        let underWay = story.began(7) + .seconds(2)
        let isExplained = story.fault(part, between: underWay...underWay)
        #expect(isExplained == nil)
        let before = story.fault(part, between: story.after(6))
        #expect(before != nil, "it had not been sent")
        let after = story.fault(part, between: story.after(7))
        #expect(after != nil, "it was acknowledged, and the rest is missing")
        let nothing = story.fault(whole, between: underWay...underWay)
        #expect(nothing == nil)
    }

    @Test func severalWritersAreCutAtOneMoment() {
        let origin = Instant.now
        let stories = (1...2).map { Story(9, number: $0, from: origin) }
        let bounds = origin...origin + .seconds(200)
        let writers = stories.map(\.writer)
        for (first, second) in [(6, 6), (7, 6), (6, 7), (8, 6), (6, 8)] {
            let fault = HistoryWriter.fault(
                of: writers,
                in: [stories[0].restored(first), stories[1].restored(second)],
                between: bounds
            )
            // Batch 7 of either is under way when batch 7 of the other begins.
            #expect((fault == nil) == (abs(first - second) < 2), "\(first), \(second): \(fault ?? "none")")
        }
    }
}
