import FaceModel
import PartitionEngine
import Testing
import VectorMath

/// Faces that have expired and are still stored, many of them: no search finds one, whatever was searched before.
struct PartitionExpiredRowsTests {
    /// Every row is a candidate, so that codes decide nothing.
    private static var options: PartitionOptions {
        var options = PartitionOptions.small
        options.candidateFloor = 100_000
        return options
    }

    private static func moment(_ milliseconds: Int) -> Timestamp { Timestamp(milliseconds: Int64(milliseconds)) }

    /// Faces `0 ..< count`, each of which expires in the millisecond of its number, but for every seventh.
    private func filled(_ count: Int) throws -> (PartitionFixture, [[Float]], FaceSource) {
        let fixture = try PartitionFixture(options: Self.options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<count).map { _ in source.embedding() }
        try fixture.enrol((0..<count).map { FaceID($0) }, embeddings) { id in
            let number = Int(id.low & 0xff_ffff)
            return FaceMetadata(
                expires: number % 7 == 0 ? nil : Self.moment(number),
                attributes: ["all": "yes", "others": "yes"]
            )
        }
        return (fixture, embeddings, source)
    }

    @Test func searchesAtAnyMomentAgreeWithTheModel() throws {
        let fixture = try PartitionFixture(options: Self.options)
        var model = PartitionModel(precision: .float16)
        var source = FaceSource(dimension: 64)
        /// Faces that expired by then may be gone.
        var removed = 0
        var expiredCounts: [Int] = []
        func write(_ batch: WriteBatch) throws {
            // A step that removes expired faces takes a sequence; the model takes one for all of them.
            let outcomes = try fixture.partition.write([batch], epoch: 1).map(\.outcome)
            #expect(outcomes == model.write([batch], epoch: 1).map(\.outcome))
        }
        func enrol(_ count: Int) throws {
            let ids = (0..<count).map { _ in FaceID(Int.random(in: 0..<6000, using: &source.generator)) }
            let moments = (0..<10).map { _ in Int.random(in: removed + 1...3000, using: &source.generator) }
            try write(
                fixture.enrolment(ids, ids.map { _ in source.embedding() }) { id in
                    // Some at one moment, some each at its own, some never.
                    switch id.low % 4 {
                    case 0: FaceMetadata()
                    case 1: FaceMetadata(expires: Self.moment(removed + 1 + Int(id.low % 2000)))
                    default: FaceMetadata(expires: Self.moment(moments[Int(id.low % 10)]))
                    }
                }
            )
        }
        try enrol(4000)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        for step in 0..<150 {
            switch Int.random(in: 0..<20, using: &source.generator) {
            case 0: try enrol(500)
            case 1..<7: try enrol(Int.random(in: 1...60, using: &source.generator))
            case 7..<10:
                let ids = (0..<Int.random(in: 1...50, using: &source.generator)).map { _ in
                    FaceID(Int.random(in: 0..<6000, using: &source.generator))
                }
                try write(WriteBatch(key: fixture.nextKey(), operation: .delete(ids)))
            case 10 where removed < 500:
                removed += Int.random(in: 0...50, using: &source.generator)
                // A step removes up to 1024.
                while try fixture.partition.maintain(now: Self.moment(removed)) == .expiry {}
                model.expire(now: Self.moment(removed))
            case 11: while try fixture.partition.maintain(now: Self.moment(removed)) != nil {}
            case 12: try fixture.reopen()
            default: break
            }
            for _ in 0..<2 {
                let now = Self.moment(Int.random(in: removed...3100, using: &source.generator))
                let probe = source.embedding()
                let excluded = Bool.random(using: &source.generator) ? FaceID(step) : nil
                let expected = model.ranking(probe: probe, threshold: nil, excluding: excluded, now: now).prefix(8)
                for effort in [SearchEffort.exact, .full] {
                    let found = try fixture.search([probe], limit: 8, effort: effort, excluding: excluded, now: now)
                    #expect(found.found[0] == Array(expected), "seed \(testSeed), step \(step), \(now), \(effort)")
                }
                expiredCounts.append(model.faces.count { $0.value.metadata.expires.map { $0 <= now } ?? false })
            }
        }
        #expect(expiredCounts.max()! > 2000 && expiredCounts.min()! < 500, "seed \(testSeed)")
    }

    /// A search that began before faces were removed, and comes to those that have expired only afterwards.
    @Test func aSearchKeepsToItsCommitWhateverALaterOneHasFound() throws {
        let (fixture, embeddings, _) = try filled(3000)
        let now = Self.moment(2000)
        for (round, known) in [nil, 1500, 1999, 2500].enumerated() {
            try fixture.reopen()
            let deleted = (100 * round..<100 * round + 90).map { FaceID($0) }
            // Of a face that has expired and is about to be deleted.
            let probe = embeddings[100 * round + 3]
            if let known { _ = try fixture.search([probe], now: Self.moment(known)) }
            let expected = try fixture.search([probe], limit: 20, filter: Self.all("others"), now: now).found
            try fixture.reopen()
            if let known { _ = try fixture.search([probe], now: Self.moment(known)) }
            var answers: [PartitionSearchAnswer] = []
            // The filter asks whether to stop when the search has its commit and knows nothing of what has expired.
            let outer = try fixture.search([probe], limit: 20, filter: Self.all("all"), now: now) {
                if answers.isEmpty {
                    do {
                        try fixture.delete(deleted)
                        answers.append(try fixture.search([probe], limit: 20, now: now))
                    } catch {
                        Issue.record("\(error)")
                    }
                }
                return false
            }
            #expect(outer.found == expected, "round \(round)")
            #expect(expected[0].allSatisfy { Int($0.face.low & 0xff_ffff) % 7 == 0 || $0.face >= FaceID(2001) })
            try #require(answers.count == 1)
            #expect(outer.faceCount == answers[0].faceCount + 90)
            #expect(answers[0].found[0].starts(with: expected[0].filter { !deleted.contains($0.face) }))
            #expect(try fixture.search([probe], limit: 20, now: now).found == answers[0].found, "round \(round)")
        }
    }

    /// A filter that lets every face through, found by looking at them.
    private static func all(_ name: String) -> FaceFilter { FaceFilter(attributes: [name: "yes"]) }

    /// What was looked at counts, also when the search was stopped.
    @Test func theWalkOverExpiredFacesStopsWhenAskedTo() throws {
        let (fixture, embeddings, _) = try filled(12_000)
        let now = Self.moment(20_000)
        func questions(stopsAt: Int = .max) throws -> (count: Int, answer: PartitionSearchAnswer) {
            var count = 0
            let answer = try fixture.search([embeddings[1]], limit: 3, now: now) {
                count += 1
                return count == stopsAt
            }
            return (count, answer)
        }
        let stopped = try questions(stopsAt: 1)
        #expect(stopped.count == 1 && stopped.answer.found == [[]] && stopped.answer.facesAnswered == 0)
        let second = try questions()
        let third = try questions()
        // 10 285 have expired, and it asks once in 256: the first search has asked once, the second 39 times.
        #expect(second.count == third.count + 39)
        #expect(second.answer.found == third.answer.found && third.answer.facesAnswered == 12_000)
        #expect(third.answer.matches[0].allSatisfy { Int($0.faceID.low & 0xff_ffff) % 7 == 0 })
        try fixture.reopen()
        #expect(try questions().count == third.count + 40)
    }

    @Test func whatIsKnownOfExpiredFacesIsCountedAndForgottenWithTheLast() throws {
        let (fixture, embeddings, _) = try filled(3000)
        #expect(try fixture.partition.statistics().filterByteCount == 0)
        _ = try fixture.search([embeddings[1]], now: Self.moment(2999))
        let byteCount = try fixture.partition.statistics().filterByteCount
        // A piece of 32 768 rows, and where it is.
        #expect(byteCount == 4096 + 8)
        while try fixture.partition.maintain(now: Self.moment(2999)) == .expiry {}
        #expect(try fixture.search([embeddings[7]], limit: 1, now: Self.moment(2999)).matches[0][0].faceID == FaceID(7))
        #expect(try fixture.partition.statistics().filterByteCount == 0)
    }
}
