import Foundation
import Testing
import WorkerService

/// The text records of a worker's data folder, of every format that there has been.
@Suite struct RecordFixtureTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Formats")

    private static let replica = RecordText(
        kind: "mien-replica",
        format: 1,
        fields: [
            "collection": "00000000-0000-0001-0000-000000000002", "shard": "3", "epoch": "7", "first": "0",
            "last": "18446744073709551615", "replicated": "1",
        ]
    )
    private static let worker = RecordText(
        kind: "mien-worker",
        format: 1,
        fields: [
            "node": "00000000-0000-0003-0000-000000000004", "cluster": "00000000-0000-0005-0000-000000000006",
        ]
    )

    @Test func recordsOfEveryFormatAreRead() throws {
        for (record, kind) in [(Self.replica, "replica"), (Self.worker, "worker")] {
            let bytes = Array(try Data(contentsOf: Self.folder.appendingPathComponent("\(kind)-1.txt")))
            let read = try RecordText(decoding: bytes, kind: "mien-\(kind)", supportedFormat: 1, path: kind)
            #expect(read == record && record.encoded == bytes)
        }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["MIEN_WRITE_GOLDEN"] == "1"))
    func filesAreWrittenWhenAskedFor() throws {
        try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
        for (record, kind) in [(Self.replica, "replica"), (Self.worker, "worker")] {
            let file = Self.folder.appendingPathComponent("\(kind)-1.txt")
            if !FileManager.default.fileExists(atPath: file.path) { try Data(record.encoded).write(to: file) }
        }
    }
}
