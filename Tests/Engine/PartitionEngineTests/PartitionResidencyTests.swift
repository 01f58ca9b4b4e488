import FaceModel
import PartitionEngine
import Testing

/// What is in memory, and reading what is not.
struct PartitionResidencyTests {
    private func settled() throws -> PartitionFixture {
        let fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        try fixture.enrol((0..<1500).map { FaceID($0) }, (0..<1500).map { _ in source.embedding() })
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        return fixture
    }

    @Test func nothingIsWhollyInMemory() throws {
        let fixture = try PartitionFixture()
        #expect(try fixture.partition.residency() == PartitionResidency(codes: 1, rows: 1))
    }

    @Test func whatHasJustBeenWrittenIsInMemory() throws {
        let fixture = try settled()
        for _ in 0..<2 {
            let residency = try fixture.partition.residency()
            #expect(residency.codes > 0.9 && residency.codes <= 1)
            #expect(residency.rows > 0.9 && residency.rows <= 1)
            try fixture.reopen()
        }
    }

    @Test func aPolicySaysWhatIsRead() throws {
        let fixture = try settled()
        let statistics = try fixture.partition.statistics()
        var read: [PrefaultPolicy: Int] = [:]
        for policy in PrefaultPolicy.allCases {
            read[policy] = 0
            try fixture.partition.prefault(policy, pause: { read[policy]! += $0 }, shouldStop: { false })
        }
        #expect(read[.none] == 0)
        // Values end before their pages do.
        let codes = try #require(read[.codes])
        #expect(codes > 0 && codes <= Int(statistics.codeByteCount))
        let rows = try #require(read[.all]) - codes
        #expect(rows >= 11 * 128 * 128 && rows <= Int(statistics.rowByteCount))
    }

    @Test func aStopEndsTheReading() throws {
        let fixture = try settled()
        var steps = 0
        try fixture.partition.prefault(.all, pause: { _ in steps += 1 }, shouldStop: { steps > 0 })
        #expect(steps == 1)
        try fixture.partition.prefault(.all, pause: { _ in steps += 1 }, shouldStop: { true })
        #expect(steps == 1)
        fixture.partition.close()
        #expect(throws: PartitionError.self) {
            try fixture.partition.prefault(.codes, pause: { _ in }, shouldStop: { false })
        }
    }
}
