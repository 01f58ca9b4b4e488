import Foundation
import Testing

/// Formats on disk have a number in their source, and those of which there was more than one, or that hold what cannot
/// be made again, a fixture of every number that there has been, from the oldest that is still read: who raises one
/// keeps what the program before wrote.
struct FormatTests {
    struct Format: CustomStringConvertible, Sendable {
        /// Where the number is, and what stands before it.
        var source: String
        var declaration: String
        /// The oldest that is read.
        var oldest = 1
        /// Path of the fixture of a number, which stands for `#`.
        var fixture: String
        /// What `docs/storage-format.md` says of the newest number, which stands for `#`; nil where it is not one
        /// sentence's.
        var words: String?

        var description: String { fixture }
    }

    static let formats = [
        Format(
            source: "Sources/Engine/PartitionStore/Records/PartitionState.swift",
            declaration: "newestFormat: UInt16 = ",
            fixture: "Tests/Engine/PartitionEngineTests/Formats/partition-#.dump",
            words: "Every field above is fixed for version #."
        ),
        // It lies in partitions, on workers' and coordinators' shelves and in backups.
        Format(
            source: "Sources/Engine/InvertedFileIndex/Codes/Codebook+Bytes.swift",
            declaration: "newestFormat: UInt16 = ",
            oldest: 3,
            fixture: "Tests/Engine/InvertedFileIndexTests/Formats/codebook-#.bin",
            words: "| format version, # |"
        ),
        Format(
            source: "Sources/Engine/PartitionStore/Log/LogEntry.swift",
            declaration: "layout: UInt16 = ",
            fixture: "Tests/Engine/PartitionStoreTests/Formats/log-entries-#.hex"
        ),
        Format(
            source: "Sources/Foundations/Backups/BackupManifest.swift",
            declaration: "layout: UInt16 = ",
            fixture: "Tests/Foundations/BackupsTests/Golden/manifest-#.hex",
            words: "| layout, #; 2 where no faces were given up, 1 without a codebook as well |"
        ),
        Format(
            source: "Sources/Foundations/Backups/BackupBlock.swift",
            declaration: "layout: UInt16 = ",
            fixture: "Tests/Foundations/BackupsTests/Golden/block-#.hex"
        ),
        Format(
            source: "Sources/Foundations/Backups/ErasureLedger.swift",
            declaration: "layout: UInt16 = ",
            fixture: "Tests/Foundations/BackupsTests/Golden/ledger-#.hex"
        ),
        Format(
            source: "Sources/Foundations/Backups/ArchiveVolume.swift",
            declaration: "layout: UInt16 = ",
            fixture: "Tests/Foundations/BackupsTests/Golden/volume-#.hex"
        ),
        Format(
            source: "Sources/Foundations/Backups/LogSegment.swift",
            declaration: "layout: UInt16 = ",
            fixture: "Tests/Foundations/BackupsTests/Golden/segment-#.hex"
        ),
        Format(
            source: "Sources/ControlPlane/ClusterController/Records/CollectionRecord+Bytes.swift",
            declaration: " layout: UInt8 = ",
            oldest: 3,
            fixture: "Tests/ControlPlane/ClusterControllerTests/Formats/collection-#.txt"
        ),
        Format(
            source: "Sources/ControlPlane/ClusterController/Records/Operation+Bytes.swift",
            declaration: " layout: UInt8 = ",
            fixture: "Tests/ControlPlane/ClusterControllerTests/Formats/operation-#.txt"
        ),
        Format(
            source: "Sources/ControlPlane/ClusterController/Records/ClusterRecords.swift",
            declaration: " layout: UInt8 = ",
            fixture: "Tests/ControlPlane/ClusterControllerTests/Formats/records-#.txt"
        ),
        Format(
            source: "Sources/ControlPlane/ClusterController/Records/ClusterRecords.swift",
            declaration: " workerLayout: UInt8 = ",
            fixture: "Tests/ControlPlane/ClusterControllerTests/Formats/worker-#.txt"
        ),
        Format(
            source: "Sources/ControlPlane/ClusterController/Records/ShardPins+Bytes.swift",
            declaration: " layout: UInt8 = ",
            fixture: "Tests/ControlPlane/ClusterControllerTests/Formats/pins-#.txt"
        ),
        Format(
            source: "Sources/DataPlane/WorkerService/DataFolder/DataFolder.swift",
            declaration: "format: UInt32 = ",
            fixture: "Tests/DataPlane/WorkerServiceTests/Formats/worker-#.txt"
        ),
        Format(
            source: "Sources/DataPlane/WorkerService/Replicas/ReplicaRecord.swift",
            declaration: "format: UInt32 = ",
            fixture: "Tests/DataPlane/WorkerServiceTests/Formats/replica-#.txt"
        ),
        Format(
            source: "Sources/DataPlane/WorkerService/Successors/SuccessorRecord.swift",
            declaration: "format: UInt32 = ",
            fixture: "Tests/DataPlane/WorkerServiceTests/Formats/successor-#.txt"
        ),
        Format(
            source: "Sources/DataPlane/WorkerService/Replication/IncomingCopyRecord.swift",
            declaration: "format: UInt32 = ",
            fixture: "Tests/DataPlane/WorkerServiceTests/Formats/incoming-#.txt"
        ),
        Format(
            source: "Sources/DataPlane/WorkerService/Verification/VerificationRecord.swift",
            declaration: "format: UInt32 = ",
            fixture: "Tests/DataPlane/WorkerServiceTests/Formats/verified-#.txt"
        ),
        Format(
            source: "Sources/ControlPlane/ClusterController/Metadata/EmbeddedMetadataStore.swift",
            declaration: " format: UInt32 = ",
            fixture: "Tests/ControlPlane/ClusterControllerTests/Formats/store-#.txt"
        ),
    ]

    private static func number(of format: Format) throws -> Int {
        let text = try Repository.file(format.source).text
        let parts = text.components(separatedBy: format.declaration)
        try #require(parts.count == 2, "\(format.source) declares '\(format.declaration)' \(parts.count - 1) times")
        return try #require(Int(parts[1].prefix { $0.isNumber }))
    }

    @Test(arguments: formats)
    func thePageTellsTheNewestNumber(format: Format) throws {
        guard let words = format.words else { return }
        let sentence = words.replacingOccurrences(of: "#", with: "\(try Self.number(of: format))")
        let page = try Repository.file("docs/storage-format.md").text
        #expect(page.contains(sentence), "'\(sentence)' is not in docs/storage-format.md")
    }

    @Test(arguments: formats)
    func everyNumberHasItsFixture(format: Format) throws {
        let number = try Self.number(of: format)
        for version in format.oldest...number {
            let parts = format.fixture.replacingOccurrences(of: "#", with: "\(version)").split(separator: "/")
            let folder = parts.dropLast().joined(separator: "/")
            #expect(
                Repository.names(in: folder).contains(String(parts.last!)),
                "\(parts.last!) is missing in \(folder)"
            )
        }
    }
}
