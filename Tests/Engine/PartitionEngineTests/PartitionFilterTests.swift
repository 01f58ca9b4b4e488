import FaceModel
import LMDB
import PartitionEngine
import PartitionStore
import Testing

struct PartitionFilterTests {
    private static let efforts: [SearchEffort] = [.exact, .full, .lists(16)]
    private static let codebook = Result { try FaceSource.codebook(dimension: 64) }
    private static let north = FaceFilter(attributes: ["gate": "north"])

    /// 700 faces in runs and out of them; every seventh of person `p`, every tenth at the gate `north`.
    private func filled(scatteredRowCost: Double) throws -> (PartitionFixture, [[Float]]) {
        var options = PartitionOptions.small
        options.scatteredRowCost = scatteredRowCost
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<700).map { _ in source.embedding() }
        try fixture.enrol((0..<700).map { FaceID($0) }, embeddings) { Self.metadata(Int($0.low & 0xffff)) }
        try fixture.partition.install(codebook: Self.codebook.get())
        try fixture.settle()
        return (fixture, embeddings)
    }

    private static func metadata(_ number: Int) -> FaceMetadata {
        FaceMetadata(
            personID: number % 7 == 0 ? "p" : "q\(number % 5)",
            externalImageID: "image \(number)",
            created: Timestamp(milliseconds: Int64(number)),
            attributes: ["gate": number % 10 == 0 ? "north" : "south"]
        )
    }

    /// The faces that pass are far from the probe, and still they are found, as many as wanted.
    @Test(arguments: [0, 20, Double.infinity])
    func facesThatDoNotPassTakeNoPlace(scatteredRowCost: Double) throws {
        let (fixture, embeddings) = try filled(scatteredRowCost: scatteredRowCost)
        let filters: [(FaceFilter, Int)] = [
            (FaceFilter(personIDs: ["p"]), 100), (Self.north, 70), (FaceFilter(externalImageIDs: ["image 8"]), 1),
            (FaceFilter(createdFrom: Timestamp(milliseconds: 3), createdBefore: Timestamp(milliseconds: 9)), 6),
            (FaceFilter(personIDs: ["p"], attributes: ["gate": "north"]), 10),
            (FaceFilter(personIDs: ["p", "q1", "nobody"], externalImageIDs: ["image 1", "image 7", "image 8"]), 2),
            (FaceFilter(personIDs: ["nobody"]), 0), (FaceFilter(attributes: ["gate": "nort"]), 0), (FaceFilter(), 700),
        ]
        for (filter, count) in filters {
            for effort in Self.efforts {
                let exact = try fixture.search([embeddings[1]], limit: 1000, filter: filter)
                #expect(exact.matches[0].count == count)
                for limit in [1, 10, 1000] {
                    let answer = try fixture.search([embeddings[1]], limit: limit, effort: effort, filter: filter)
                    #expect(answer.matches[0].count == min(limit, count), "\(filter), \(effort)")
                    #expect(answer.matches[0].allSatisfy { PartitionModel.passes($0.metadata, filter) })
                    #expect(answer.facesAnswered == 700 && answer.faceCount == 700)
                    if scatteredRowCost == 0 {
                        #expect(answer.found == exact.found.map { Array($0.prefix(limit)) })
                        #expect(answer.rowsVisited == UInt64(count) && answer.listsVisited == 0)
                    }
                }
            }
        }
    }

    @Test func fewRowsAreComparedAndManyAreScanned() throws {
        let (fixture, embeddings) = try filled(scatteredRowCost: 20)
        let one = try fixture.search([embeddings[1]], effort: .full, filter: FaceFilter(externalImageIDs: ["image 8"]))
        #expect(one.rowsVisited == 1 && one.listsVisited == 0 && one.generation == 0)
        let most = try fixture.search([embeddings[1]], effort: .full, filter: FaceFilter(attributes: ["gate": "south"]))
        #expect(most.rowsVisited > 600 && most.listsVisited == 16 && most.generation == 1)
    }

    /// Of the rows that pass, those that live decide whether they are compared or scanned, whether they were counted
    /// for this search or an earlier one.
    @Test func deadAndHiddenRowsDoNotMakeAScan() throws {
        let (fixture, embeddings) = try filled(scatteredRowCost: 20)
        func north(excluding face: FaceID? = nil) throws -> PartitionSearchAnswer {
            try fixture.search([embeddings[1]], limit: 1000, effort: .full, filter: Self.north, excluding: face)
        }
        for _ in 0..<2 { #expect(try north().listsVisited == 16) }
        try fixture.delete((0..<40).map { FaceID(10 * $0) })
        for _ in 0..<3 {
            let answer = try north()
            #expect(answer.rowsVisited == 30 && answer.listsVisited == 0 && answer.matches[0].count == 30)
            let others = try north(excluding: FaceID(500))
            #expect(others.rowsVisited == 29 && others.matches[0].count == 29)
        }
    }

    /// A filter that has been searched with before sees what was written since.
    @Test(arguments: [0, Double.infinity])
    func laterSearchesSeeWhatWasWrittenSince(scatteredRowCost: Double) throws {
        let (fixture, embeddings) = try filled(scatteredRowCost: scatteredRowCost)
        func found(_ filter: FaceFilter, now: Int64 = 0) throws -> Set<FaceID> {
            let answer = try fixture.search(
                [embeddings[0]],
                limit: 1000,
                effort: .full,
                filter: filter,
                now: Timestamp(milliseconds: now)
            )
            return Set(answer.matches[0].map(\.faceID))
        }
        let person = FaceFilter(personIDs: ["p"])
        #expect(try found(Self.north).count == 70 && found(person).count == 100)
        // One leaves the filter, one enters it, one is new, one is deleted, one expires.
        func move(_ number: Int, to metadata: FaceMetadata) throws {
            try fixture.enrol([FaceID(number)], [embeddings[number % 700]]) { _ in metadata }
        }
        try move(10, to: FaceMetadata(personID: "p", attributes: ["gate": "south"]))
        try move(11, to: FaceMetadata(attributes: ["gate": "north"]))
        try move(7, to: FaceMetadata(personID: "P"))
        try move(900, to: FaceMetadata(personID: "p", attributes: ["gate": "north"]))
        try move(
            901,
            to: FaceMetadata(
                personID: "p",
                expires: Timestamp(milliseconds: 5),
                attributes: ["gate": "north"]
            )
        )
        try fixture.delete([FaceID(20), FaceID(14)])
        for isSettled in [false, true] {
            var gates = Set(stride(from: 0, to: 700, by: 10).map { FaceID($0) })
            gates.subtract([FaceID(10), FaceID(20)])
            gates.formUnion([FaceID(11), FaceID(900)])
            #expect(try found(Self.north, now: 5) == gates)
            #expect(try found(Self.north, now: 4) == (isSettled ? gates : gates.union([FaceID(901)])))
            var persons = Set(stride(from: 0, to: 700, by: 7).map { FaceID($0) })
            persons.subtract([FaceID(7), FaceID(14)])
            persons.formUnion([FaceID(10), FaceID(900)])
            #expect(try found(person, now: 5) == persons)
            if !isSettled { try fixture.settle(now: Timestamp(milliseconds: 5)) }
        }
        try fixture.reopen()
        #expect(try found(person, now: 5).count == 100 && found(Self.north, now: 5).count == 70)
    }

    @Test func theTablesListLivingFacesOnly() throws {
        let (fixture, embeddings) = try filled(scatteredRowCost: 20)
        try fixture.delete((0..<350).map { FaceID($0) })
        try fixture.enrol((300..<400).map { FaceID($0) }, Array(embeddings[300..<400])) { id in
            FaceMetadata(
                personID: id.low % 2 == 0 ? "r" : nil,
                externalImageID: "x",
                expires: id.low % 4 == 0 ? Timestamp(milliseconds: 1) : nil
            )
        }
        try fixture.settle(now: Timestamp(milliseconds: 1))
        fixture.partition.close()
        try fixture.change { tables, transaction in
            #expect(try transaction.reading.count(of: tables.byPerson) == 300 + 25)
            #expect(try transaction.reading.count(of: tables.byExternalImage) == 300 + 75)
            for (table, name, count) in [(tables.byPerson, "r", 25), (tables.byExternalImage, "x", 75)] {
                let rows = try tables.rows(named: Array(name.utf8), from: 0, in: table, transaction.reading)
                #expect(rows.count == count && rows == rows.sorted())
                let rest = try tables.rows(named: Array(name.utf8), from: rows[9], in: table, transaction.reading)
                #expect(rest == Array(rows[9...]))
            }
        }
    }

    @Test func aSearchStoppedAmongRecordsSawNothing() throws {
        for filter in [Self.north, FaceFilter(personIDs: ["p"])] {
            let (fixture, embeddings) = try filled(scatteredRowCost: filter.personIDs == nil ? .infinity : 0)
            for limit in 0..<12 {
                // What an earlier search has found is forgotten.
                try fixture.reopen()
                var asked = 0
                let answer = try fixture.search([embeddings[0]], effort: .full, filter: filter) {
                    asked += 1
                    return asked > limit
                }
                #expect(answer.faceCount == 700 && answer.matches.count == 1)
                #expect((answer.facesAnswered < answer.faceCount) == (asked > limit), "\(limit)")
                if limit == 0 { #expect(answer.facesAnswered == 0 && answer.matches[0].isEmpty) }
            }
        }
    }

    /// Rows that a person has are looked up one by one, each perhaps from the disk.
    @Test func aSearchOfFewRecordsAsksWhetherToStop() throws {
        var options = PartitionOptions.small
        options.scatteredRowCost = 0
        options.keptFilterRecordCount = 1000
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let embeddings = (0..<300).map { _ in source.embedding() }
        try fixture.enrol((0..<300).map { FaceID($0) }, embeddings) { id in
            FaceMetadata(personID: id.low & 0xffff < 200 ? "p" : nil)
        }
        var asked = 0
        let answer = try fixture.search([embeddings[0]], filter: FaceFilter(personIDs: ["p"])) {
            asked += 1
            return false
        }
        // Of 200 rows, behind every 32nd look-up and before every 32nd comparison.
        #expect(asked == 6 + 7 && answer.facesAnswered == 300 && answer.rowsVisited == 200)
        asked = 0
        let stopped = try fixture.search([embeddings[0]], filter: FaceFilter(personIDs: ["p"])) {
            asked += 1
            return asked == 6
        }
        #expect(asked == 6 && stopped.facesAnswered == 0 && stopped.found == [[]])
    }

    /// A filter that takes longer than a search may is found out by several.
    @Test func aSearchGoesOnWhereAnotherWasStoppedAmongRecords() throws {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let probe = source.embedding()
        try fixture.enrol((0..<6000).map { FaceID($0) }, (0..<6000).map { _ in source.embedding() }) {
            Self.metadata(Int($0.low & 0xffff))
        }
        func questions(stopsAt: Int = .max) throws -> (count: Int, answer: PartitionSearchAnswer) {
            var count = 0
            let answer = try fixture.search([probe], limit: 1000, filter: Self.north) {
                count += 1
                return count == stopsAt
            }
            return (count, answer)
        }
        // 6000 records, and it asks before the first and once in 1024.
        let whole = try questions()
        let known = try questions()
        #expect(whole.count == known.count + 6 && known.answer.matches[0].count == 600)
        try fixture.reopen()
        for _ in 0..<5 {
            // The first question is whether to begin, the second comes 1024 records later.
            let stopped = try questions(stopsAt: 2)
            #expect(stopped.count == 2 && stopped.answer.facesAnswered == 0 && stopped.answer.found == [[]])
        }
        let last = try questions()
        #expect(last.count == known.count + 1, "of what five searches have left it asks once")
        #expect(last.answer.found == whole.answer.found && last.answer.facesAnswered == 6000)
        #expect(try questions().count == known.count)
    }

    /// Searches with one filter are stopped on the way, faces come, go and move between them and while they are under
    /// way: whatever was found before, those found in the end are those that pass.
    @Test(arguments: [FaceFilter(attributes: ["gate": "north"]), FaceFilter(personIDs: ["p"])], [0, Double.infinity])
    func whatAStoppedSearchHasFoundHoldsLater(filter: FaceFilter, scatteredRowCost: Double) throws {
        var options = PartitionOptions.small
        options.scatteredRowCost = scatteredRowCost
        let fixture = try PartitionFixture(options: options)
        var source = FaceSource(dimension: 64)
        let probe = source.embedding()
        /// Whether each face passes.
        var faces: [Int: Bool] = [:]
        func numbers(_ count: Int) -> [Int] {
            Set((0..<count).map { _ in Int.random(in: 0..<5000, using: &source.generator) }).sorted()
        }
        func enrol(_ numbers: [Int]) throws {
            for number in numbers { faces[number] = Int.random(in: 0..<7, using: &source.generator) == 0 }
            let embeddings = numbers.map { _ in source.embedding() }
            try fixture.enrol(numbers.map { FaceID($0) }, embeddings) { id in
                let passes = faces[Int(id.low & 0xffff)] ?? false
                return FaceMetadata(
                    personID: passes ? "p" : "q",
                    attributes: ["gate": passes ? "north" : "south"]
                )
            }
        }
        func delete(_ numbers: [Int]) throws {
            for number in numbers { faces[number] = nil }
            try fixture.delete(numbers.map { FaceID($0) })
        }
        func passing() -> Set<FaceID> { Set(faces.filter { $0.value }.map { FaceID($0.key) }) }
        func found(_ shouldStop: () -> Bool = { false }) throws -> Set<FaceID> {
            let answer = try fixture.search([probe], limit: 1000, filter: filter, shouldStop: shouldStop)
            return Set(answer.matches[0].map(\.faceID))
        }
        try enrol(Array(0..<4000))
        for round in 0..<60 {
            var left = Int.random(in: 1...4, using: &source.generator)
            _ = try found {
                left -= 1
                return left < 0
            }
            try enrol(numbers(Int.random(in: 1...150, using: &source.generator)))
            if round % 2 == 0 { try delete(numbers(80)) }
            if round % 3 == 0 { try fixture.settle() }
            switch round % 8 {
            case 5: #expect(try found() == passing(), "seed \(testSeed), round \(round)")
            case 6:
                // A later search comes to its end while this one is under way, and this one keeps to its commit.
                let before = passing()
                var isFirst = true
                let outer = try found {
                    if isFirst {
                        isFirst = false
                        do {
                            try delete(numbers(100))
                            try enrol(numbers(100))
                            #expect(try found() == passing(), "seed \(testSeed), round \(round)")
                        } catch {
                            Issue.record("\(error)")
                        }
                    }
                    return false
                }
                #expect(outer == before, "seed \(testSeed), round \(round)")
            case 7: try fixture.reopen()
            default: break
            }
        }
        #expect(try found() == passing(), "seed \(testSeed)")
    }

    @Test func facesOfOtherNamesThanAllowedAreRefused() throws {
        let fixture = try PartitionFixture()
        for name in ["", "a\u{0}b", String(repeating: "a", count: 256)] {
            #expect {
                try fixture.enrol([FaceID(1)], [FaceSource.normalised([Float](repeating: 1, count: 64))]) { _ in
                    FaceMetadata(personID: name)
                }
            } throws: { error in
                guard case PartitionError.invalidWrite = error else { return false }
                return true
            }
        }
        #expect(try fixture.partition.statistics().faceCount == 0)
    }

    /// A partition as format 1 left it: without the tables, and with the older number in its state.
    @Test func aPartitionOfFormat1IsBroughtUpToDate() throws {
        let (fixture, embeddings) = try filled(scatteredRowCost: 20)
        try fixture.delete([FaceID(14)])
        let folder = TemporaryFolder()
        fixture.partition.close()
        try fixture.copy(to: folder.path, asFormat: 1)
        let filters = [
            FaceFilter(personIDs: ["p"]), FaceFilter(externalImageIDs: ["image 8", "image 14"]), Self.north,
        ]
        for _ in 0..<2 {
            let partition = try Partition.open(at: folder.path, options: .small)
            defer { partition.close() }
            for (filter, count) in zip(filters, [99, 1, 70]) {
                let answer = try partition.search(
                    PartitionSearch(
                        parameters: SearchParameters(matchLimit: 1000, effort: .full, filter: filter),
                        excludedFace: nil,
                        probes: EmbeddingMatrix(dimension: 64, values: embeddings[3]),
                        now: Timestamp(milliseconds: 0)
                    ),
                    shouldStop: { false }
                )
                #expect(answer.matches[0].count == count)
            }
            // What is listed can be taken off the list.
            let batch = WriteBatch(key: fixture.nextKey(), operation: .delete([FaceID(15)]))
            #expect(try partition.write([batch], epoch: 1).count == 1)
        }
    }
}
