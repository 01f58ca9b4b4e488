import ClusterController
import ClusterModel
import FaceModel
import Foundation
import LMDB
import Testing

/// The embedded store's folder, of every format that there has been. `MIEN_WRITE_GOLDEN=1` writes files that are
/// missing, of today's formats, and never one that is there.
///
/// A file has an entry a line: its table, its key, and its value in hexadecimal.
@Suite struct StoreFixtureTests {
    private static let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Formats")
    private static let tables = ["about", "records"]
    private static let cluster = NodeID(high: 1, low: 2)

    private let folder = TemporaryFolder()

    private static func file(_ format: Int) -> URL { fixtures.appendingPathComponent("store-\(format).txt") }

    /// A folder as the program that had the format left it.
    private func restore(_ format: Int) throws -> [String] {
        let lines = try String(contentsOf: Self.file(format), encoding: .utf8).split(separator: "\n").map(String.init)
        try onTables { environment, tables in
            for line in lines {
                let parts = line.split(separator: " ").map(String.init)
                let table = try #require(tables[parts[0]])
                let value = HexText.bytes(parts[2])
                try environment.write { transaction in try transaction.put(table, key: parts[1], value: value) }
            }
        }
        return lines
    }

    private func entries() throws -> [String] {
        var lines: [String] = []
        try onTables { environment, tables in
            for name in Self.tables {
                let table = try #require(tables[name])
                try environment.read { transaction in
                    try transaction.forEach(in: table) { entry in
                        let key = String(decoding: Array(entry.key), as: UTF8.self)
                        lines.append("\(name) \(key) \(HexText.text(Array(entry.value)))")
                        return .next
                    }
                }
            }
        }
        return lines
    }

    private func onTables(_ body: (Environment, [String: Table]) throws -> Void) throws {
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 34
        options.maxTables = 4
        options.createDirectory = true
        let environment = try Environment(path: folder.path, options: options)
        defer { environment.close() }
        var tables: [String: Table] = [:]
        for name in Self.tables { tables[name] = try environment.openTable(named: name, create: true) }
        try body(environment, tables)
    }

    /// Format 1: the records are here.
    @Test func recordsHereAreReadAndGoOn() async throws {
        _ = try restore(1)
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        #expect(try await store.clusterElsewhere() == nil)
        let listing = try await store.list(prefix: "")
        #expect(listing.revision == MetadataRevision(2))
        #expect(
            listing.records == [
                MetadataRecord(key: "cluster", value: [1, 2, 3], version: MetadataRevision(1)),
                MetadataRecord(key: "epoch", value: [4], version: MetadataRevision(2)),
            ]
        )
        let next = try await store.commit(
            [.unchanged(key: "epoch", version: MetadataRevision(2))],
            [.put(key: "epoch", value: [5])]
        )
        #expect(next == MetadataRevision(3))
        await store.close()
    }

    /// Format 2: they are in another store.
    @Test func aFolderWhoseRecordsAreElsewhereKnowsItsCluster() async throws {
        let lines = try restore(2)
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        #expect(try await store.clusterElsewhere() == Self.cluster)
        let digits = store.node.description.replacing("-", with: "")
        #expect(lines.contains("about node \(digits)"))
        await store.close()
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["MIEN_WRITE_GOLDEN"] == "1"))
    func filesAreWrittenWhenAskedFor() async throws {
        for format in [1, 2] where !FileManager.default.fileExists(atPath: Self.file(format).path) {
            let store = try await EmbeddedMetadataStore.open(at: folder.path)
            if format == 1 {
                try await store.commit([], [.put(key: "cluster", value: [1, 2, 3]), .put(key: "epoch", value: [3])])
                try await store.commit([], [.put(key: "epoch", value: [4])])
            } else {
                try await store.leave(for: Self.cluster)
            }
            await store.close()
            let text = try entries().map { $0 + "\n" }.joined()
            try text.write(to: Self.file(format), atomically: true, encoding: .utf8)
        }
    }
}
