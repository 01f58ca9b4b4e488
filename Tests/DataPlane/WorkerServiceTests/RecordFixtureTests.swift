import ClusterModel
import FaceModel
import Foundation
import Testing
import WorkerService

/// The text records of a worker's data folder, of every format that there has been. `MIEN_WRITE_GOLDEN=1` writes files
/// that are missing, of today's formats, and never one that is there.
@Suite struct RecordFixtureTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Formats")
    private static let shard = ShardID(collection: CollectionID(high: 1, low: 2), index: 3)

    private static let records = [
        RecordText(
            kind: "mien-replica",
            format: 1,
            fields: [
                "collection": "00000000-0000-0001-0000-000000000002", "shard": "3", "epoch": "7", "first": "0",
                "last": "18446744073709551615", "replicated": "1",
            ]
        ),
        RecordText(
            kind: "mien-worker",
            format: 1,
            fields: [
                "node": "00000000-0000-0003-0000-000000000004", "cluster": "00000000-0000-0005-0000-000000000006",
            ]
        ),
        RecordText(
            kind: "mien-successor",
            format: 1,
            fields: [
                "collection": "00000000-0000-0001-0000-000000000002", "shard": "3", "first": "0", "last": "99",
                "sources": "1 2", "sequences": "17 4611686018427387905",
            ]
        ),
        RecordText(kind: "mien-incoming", format: 1, fields: ["copy": "12345678901234567890", "bytes": "5000000000"]),
        RecordText(kind: "mien-verified", format: 1, fields: ["milliseconds": "1795000000123"]),
    ]

    /// With what may be missing.
    private static let frozenReplica = RecordText(
        kind: "mien-replica",
        format: 1,
        fields: records[0].fields.merging(["frozen": "12", "version": "13"]) { _, new in new }
    )

    private static func file(_ kind: String, _ format: UInt32, _ suffix: String = "") -> URL {
        folder.appendingPathComponent("\(kind.dropFirst("mien-".count))-\(format)\(suffix).txt")
    }

    /// Those of ``records`` and then ``frozenReplica``.
    private static var files: [(record: RecordText, file: URL)] {
        records.map { (record: $0, file: file($0.kind, $0.format)) }
            + [(record: frozenReplica, file: file("mien-replica", 1, "-frozen"))]
    }

    @Test(arguments: files.indices)
    func recordsOfEveryFormatAreRead(index: Int) throws {
        let (record, file) = Self.files[index]
        let bytes = Array(try Data(contentsOf: file))
        let read = try RecordText(decoding: bytes, kind: record.kind, supportedFormat: 1, path: record.kind)
        #expect(read == record && record.encoded == bytes)
    }

    @Test func whatTheySayIsUnderstood() throws {
        let folder = TemporaryFolder()
        for (kind, name) in [("mien-successor", "successor"), ("mien-incoming", "copy")] {
            try FileManager.default.copyItem(atPath: Self.file(kind, 1).path, toPath: "\(folder.path)/\(name)")
        }
        let replica = try #require(try ReplicaRecord.read(from: Self.file("mien-replica", 1).path, of: Self.shard))
        #expect(replica.shard == Self.shard && replica.epoch == Epoch(7) && replica.range == .all)
        #expect(replica.isReplicated && replica.frozenVersion == 0 && replica.groupVersion == 0)
        let frozen = try #require(
            try ReplicaRecord.read(from: Self.file("mien-replica", 1, "-frozen").path, of: Self.shard)
        )
        #expect(frozen.isReplicated && frozen.frozenVersion == 12 && frozen.groupVersion == 13)
        let successor = try #require(try SuccessorRecord.read(in: folder.path, of: Self.shard))
        #expect(successor.shard == Self.shard && successor.range == HashRange(first: 0, last: 99))
        #expect(successor.sources == [1, 2] && successor.sequences == [17, 4_611_686_018_427_387_905])
        let copy = try #require(IncomingCopyRecord.read(in: folder.path))
        #expect(copy.copy == 12_345_678_901_234_567_890 && copy.totalByteCount == 5_000_000_000)
        let time = VerificationRecord.read(from: Self.file("mien-verified", 1).path)
        #expect(time == Timestamp(milliseconds: 1_795_000_000_123))
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["MIEN_WRITE_GOLDEN"] == "1"))
    func filesAreWrittenWhenAskedFor() throws {
        try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
        for (record, file) in Self.files {
            if !FileManager.default.fileExists(atPath: file.path) { try Data(record.encoded).write(to: file) }
        }
    }
}
