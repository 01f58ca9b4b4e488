import FaceModel
import PartitionEngine
import Testing

/// Bits that change in the file after what they belong to was found sound: whoever copies it under a new checksum looks
/// again, or no verification would ever find them.
@Suite struct CopiedDamageTests {
    /// Five full chunks that are folded, and a tail.
    private static let faceCount = 700
    private static let headerByteCount = 48

    private let fixture: PartitionFixture
    private let values: StoredValues

    init() throws {
        fixture = try PartitionFixture()
        var source = FaceSource(dimension: 64)
        let ids = (0..<Self.faceCount).map { FaceID($0) }
        let embeddings = ids.map { _ in source.embedding() }
        try fixture.enrol(ids, embeddings)
        try fixture.partition.install(codebook: FaceSource.codebook(dimension: 64))
        try fixture.settle()
        fixture.partition.close()
        values = try StoredValues(path: "\(fixture.directory)/data.mdb")
        try fixture.reopen()
        // Every chunk is verified when it is first touched, and from then on it counts as sound.
        for effort in [SearchEffort.exact, .full] {
            let answer = try fixture.search([embeddings[5]], effort: effort)
            #expect(answer.matches[0].first?.faceID == FaceID(5))
        }
        #expect(try fixture.partition.statistics().runCount > 0)
    }

    /// Changes a bit of what is stored of a row.
    private func spoil(_ table: String) throws {
        let chunk = try #require(values.ranges[table]?.first)
        try values.flip(chunk.lowerBound + Self.headerByteCount + 5 * 64, 1)
    }

    /// Erases what deleted faces have left, to the end.
    private func erase() throws {
        for _ in 0..<1000 {
            switch try fixture.partition.eraseRemnants(isAtOnce: true) {
            case .idle: return
            case .advanced: break
            case .waits: try fixture.settle()
            case .needsLogForgotten: Issue.record("there is no log")
            }
        }
        Issue.record("erasing does not end")
    }

    /// Chunks are written again without their dead rows, and so are runs.
    @Test(arguments: ["roundedRows", "codes"])
    func whatIsWrittenAgainWithoutItsDeadRowsIsVerified(table: String) throws {
        try spoil(table)
        // One of each chunk of rows, and so of each run.
        try fixture.delete(stride(from: 9, to: Self.faceCount, by: 128).map { FaceID($0) })
        #expect {
            try erase()
            _ = try fixture.partition.verifyAll()
        } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
    }

    /// The same as above without the damage: what is looked for there is not found here.
    @Test func whatIsSoundIsWrittenAgain() throws {
        try fixture.delete(stride(from: 9, to: Self.faceCount, by: 128).map { FaceID($0) })
        try erase()
        #expect(try fixture.partition.statistics().tombstoneCount == 1, "that of the tail")
        #expect(try fixture.partition.verifyAll() == fixture.partition.digest())
    }

    @Test func codesThatGoToAnotherPartitionAreVerified() throws {
        try spoil("codes")
        let builder = try SuccessorBuilder(
            at: "\(fixture.folder.path)/next",
            identity: .made(shardIndex: 1),
            sources: [fixture.partition],
            options: fixture.options
        )
        defer { builder.close() }
        while try builder.copyRows() {}
        #expect {
            while try builder.copyCodes() {}
        } throws: { error in
            (error as? PartitionError)?.isCorruption == true
        }
        // Whoever has it made is told which of them is to be repaired.
        #expect(builder.damage?.source == 0 && builder.damage?.error.isCorruption == true)
    }
}
