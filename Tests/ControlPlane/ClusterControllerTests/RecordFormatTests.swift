import ClusterController
import ClusterModel
import ClusterState
import FaceModel
import Foundation
import Testing
import WireProtocol
import WireTransport

/// Records of every layout that there has been are read. `MIEN_WRITE_GOLDEN=1` writes files that are missing, of
/// today's layouts, and never one that is there.
///
/// A file has a record a line: its key, and its value in hexadecimal.
@Suite struct RecordFormatTests {
    private static let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent()
        .appendingPathComponent("Formats")

    /// Digest of what a collection was restored to.
    private static let restored = (0..<32).map { UInt8($0) }

    private static func records(_ name: String) throws -> [MetadataChange] {
        let text = try String(contentsOf: folder.appendingPathComponent("\(name).txt"), encoding: .utf8)
        return text.split(separator: "\n").map { line in
            let parts = line.split(separator: " ")
            return .put(key: String(parts[0]), value: HexText.bytes(parts[1]))
        }
    }

    private static func write(_ records: [(key: String, value: [UInt8])], _ name: String) throws {
        let file = folder.appendingPathComponent("\(name).txt")
        guard !FileManager.default.fileExists(atPath: file.path) else { return }
        let text = records.map { "\($0.key) \(HexText.text($0.value))\n" }.joined()
        try text.write(to: file, atomically: true, encoding: .utf8)
    }

    /// Layouts of a kind of record that there are files of.
    private static func layouts(of kind: String) -> [Int] {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: folder.path)) ?? []
        return names.compactMap { name in
            name.hasPrefix("\(kind)-") ? Int(name.dropFirst(kind.count + 1).prefix { $0.isNumber }) : nil
        }.sorted()
    }

    @Test func thereAreFilesOfTheOldestLayouts() {
        #expect(Self.layouts(of: "collection").first == 3)
        for kind in ["worker", "operation", "records", "pins"] { #expect(Self.layouts(of: kind).first == 1, "\(kind)") }
    }

    @Test(arguments: layouts(of: "collection"), layouts(of: "worker"))
    func everyLayoutIsRead(collectionLayout: Int, workerLayout: Int) async throws {
        for operationLayout in Self.layouts(of: "operation") {
            try await read(collectionLayout, workerLayout, operationLayout)
        }
    }

    /// Files of other layouts are of other collections: the name and the pins are those of the one that is read.
    private static func named(_ changes: [MetadataChange]) throws -> [MetadataChange] {
        let ids = changes.compactMap { change -> [UInt8]? in
            guard case .put(let key, let value) = change, key.hasPrefix("collection/") else { return nil }
            return Array(value[1..<17])
        }
        let id = try #require(ids.first)
        let text = try #require(
            changes.lazy.compactMap { change -> String? in
                guard case .put(let key, _) = change, key.hasPrefix("collection/") else { return nil }
                return String(key.dropFirst("collection/".count))
            }.first
        )
        return changes.map { change in
            guard case .put(let key, let value) = change else { return change }
            if key.hasPrefix("name/") { return .put(key: key, value: value.prefix(1) + id) }
            return key.hasPrefix("pin/") ? .put(key: "pin/\(text)", value: value) : change
        }
    }

    private func read(_ collectionLayout: Int, _ workerLayout: Int, _ operationLayout: Int) async throws {
        let folder = TemporaryFolder()
        let store = try await EmbeddedMetadataStore.open(at: folder.path)
        let names =
            ["records-1", "collection-\(collectionLayout)", "worker-\(workerLayout)"]
            + ["operation-\(operationLayout)", "pins-1"]
        try await store.commit([], try Self.named(names.flatMap { try Self.records($0) }))
        let metadata = try await ClusterRecords.load(from: store).metadata
        await store.close()
        #expect(metadata.epoch > Epoch(1) && metadata.deletions.count == 1)
        let collection = try #require(metadata.collection(named: "people"))
        #expect(metadata.collections.count == 1 && collection.isEstablished && collection.restoration == nil)
        let configuration = collection.collection.configuration
        #expect(configuration.shardCount == 2 && configuration.replicationFactor == 2)
        #expect(collection.placements.map(\.shard.index) == [0, 1])
        #expect(collection.placements.map(\.range) == HashRange.divisions(2))
        #expect(collection.placements.allSatisfy { $0.group.inSync.count >= 2 && $0.group.isInSync($0.primary) })
        let derived = ErasureKey(of: collection.collection.id)
        #expect((collection.erasureKey == derived) == (collectionLayout == 3))
        let settled = collectionLayout < 7 ? nil : Timestamp(milliseconds: 1_700_000_000_500)
        #expect(collection.settledLoss == settled && collection.latestLoss == settled && collection.losses.isEmpty)
        #expect(collection.restored == (collectionLayout < 8 ? nil : Self.restored))
        let workers = Set((0..<3).map { NodeID(high: 7, low: UInt64($0)) })
        #expect(Set(metadata.workers.keys) == workers)
        let operation = try #require(metadata.operations.values.first)
        guard case .drain(let worker) = operation.kind else {
            Issue.record("the operation is \(operation.kind)")
            return
        }
        #expect(worker == NodeID(high: 7, low: 1) && !operation.steps.isEmpty)
        #expect(operation.formerStanding == (operationLayout == 1 ? .active : .draining))
        let shard = ShardID(collection: collection.collection.id, index: 1)
        let pin = ShardPin(
            workers: [NodeID(high: 7, low: 0), NodeID(high: 7, low: 2)],
            primary: NodeID(high: 7, low: 2)
        )
        #expect(metadata.pins == [shard: pin])
        #expect(metadata.standings == (workerLayout == 1 ? [:] : [worker: .draining]))
    }

    /// The files are of collections that serve: here their ends are those of one that is being restored.
    @Test func whatWasComparedIsReadAndAMarkThatDoesNotSayWhatIsNotGoneBy() async throws {
        let nothing = [UInt8](repeating: 0, count: 8)
        for (layout, restored) in [(6, nil), (8, Self.restored)] as [(UInt8, [UInt8]?)] {
            var end: [UInt8] = [1, 8, 0]
            end += "people-1".utf8
            end += [1] + nothing
            if let restored { end += [0] + restored }
            let names = ["records-1", "collection-6", "worker-2", "operation-2", "pins-1"]
            let changes = try Self.named(names.flatMap { try Self.records($0) })
            let ends = changes.map { change -> MetadataChange in
                guard case .put(let key, let value) = change, key.hasPrefix("collection/") else { return change }
                return .put(key: key, value: [layout] + Array(value.dropFirst().dropLast(9)) + end)
            }
            let folder = TemporaryFolder()
            let store = try await EmbeddedMetadataStore.open(at: folder.path)
            try await store.commit([], ends)
            let metadata = try await ClusterRecords.load(from: store).metadata
            await store.close()
            let record = try #require(metadata.collection(named: "people"))
            #expect(record.restoration?.backup == "people-1" && record.restored == restored)
            guard restored != nil else { continue }
            let written = ClusterRecords.records(of: metadata).first { $0.key.hasPrefix("collection/") }
            #expect(written?.value.first == layout && written?.value.suffix(end.count).elementsEqual(end) == true)
        }
    }

    @Test(.enabled(if: ProcessInfo.processInfo.environment["MIEN_WRITE_GOLDEN"] == "1"))
    func filesAreWrittenWhenAskedFor() async throws {
        try FileManager.default.createDirectory(at: Self.folder, withIntermediateDirectories: true)
        try await withCluster(workers: 3) { _, cluster, _ in
            _ = try await cluster.create("gone", shards: 1)
            _ = try await cluster.delete("gone")
            _ = try await cluster.create("people", shards: 2, replicationFactor: 2)
            let begin = BeginOperation(id: .random(), order: .drain(NodeID(high: 7, low: 1)))
            _ = try await cluster.client.call(begin, deadline: .after(.seconds(5)))
            var records: [(key: String, value: [UInt8])] = []
            for record in try await cluster.store.list(prefix: "").records {
                records.append((record.key, record.value))
            }
            func those(_ prefix: String) -> [(key: String, value: [UInt8])] {
                records.filter { $0.key.hasPrefix(prefix) }
            }
            try Self.write(those("collection/"), "collection-\(try #require(those("collection/").first?.value.first))")
            // With a loss that was settled.
            let time = withUnsafeBytes(of: Int64(1_700_000_000_500).littleEndian) { Array($0) }
            try Self.write(those("collection/").map { ($0.key, [7] + $0.value.dropFirst() + time) }, "collection-7")
            // And restored.
            let end: [UInt8] = [1] + time + Self.restored
            try Self.write(those("collection/").map { ($0.key, [8] + $0.value.dropFirst() + end) }, "collection-8")
            // Without the key, and the mark of a restoration behind it.
            try Self.write(
                those("collection/").map { ($0.key, [3] + $0.value.dropFirst().dropLast(17)) },
                "collection-3"
            )
            try Self.write(those("worker/"), "worker-\(try #require(those("worker/").first?.value.first))")
            // Without its standing.
            try Self.write(those("worker/").map { ($0.key, [1] + $0.value.dropFirst().dropLast()) }, "worker-1")
            try Self.write(those("operation/"), "operation-\(try #require(those("operation/").first?.value.first))")
            // Of a worker that had been drained before.
            try Self.write(
                those("operation/").map { ($0.key, [2] + $0.value.dropFirst() + [WorkerStanding.draining.rawValue]) },
                "operation-2"
            )
            try Self.write(those("cluster") + those("epoch") + those("name/") + those("deleted/"), "records-1")
        }
        try await withCluster(workers: 3) { _, cluster, _ in
            _ = try await cluster.create("people", shards: 2, replicationFactor: 2)
            let pin = PinShard.Pin(primary: NodeID(high: 7, low: 2))
            _ = try await cluster.client.call(
                PinShard(collection: "people", shardIndex: 1, pin: pin),
                deadline: .after(.seconds(5))
            )
            let records = try await cluster.store.list(prefix: "pin/").records
            try Self.write(records.map { ($0.key, $0.value) }, "pins-1")
        }
    }
}
