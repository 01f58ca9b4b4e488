import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WorkerService

/// Faces of a backup as workers with real disks and connections take them.
@Suite struct ShardRestoreTests {
    private let test = TestCollection()

    /// As a backup has them: of before the epoch of the shard that they are put into.
    private func archived(_ ids: [FaceID]) -> ArchivedFaces {
        let embeddings = test.embeddings(ids)
        var faces = ArchivedFaces(dimension: WorkerHarness.dimension, precision: .float16)
        for (row, id) in ids.enumerated() {
            let version = FaceVersion(epoch: 0, sequence: UInt64(row + 1))
            let bytes = embeddings.row(row).flatMap { value -> [UInt8] in
                let bits = Float16(value).bitPattern
                return [UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8)]
            }
            faces.append(ArchivedFaces.Row(id: id, version: version, metadata: FaceMetadata()), embedding: bytes)
        }
        return faces
    }

    /// Two runs of one restoration: a batch of the second is on its way while the first ends, and the collection serves
    /// when it arrives. One replica writes without a log.
    @Test(arguments: [1, 2]) func aBatchThatComesBehindTheEndBringsNobodyBack(replicas: Int) async throws {
        try await ReplicatedShard.with(workers: replicas, replicas: replicas, minimumInSync: replicas) { shard in
            let ids = test.ids(20)
            let batch = archived(ids)
            let nothing = batch.rows([])
            func put(_ faces: ArchivedFaces, isLast: Bool = false) async throws -> ShardEnrolled {
                try await shard.write { epoch in
                    ShardRestore(route: test.route(epoch: epoch.number), faces: faces, isLast: isLast)
                }
            }
            #expect(try await put(batch).outcomes.count == ids.count)
            let end = try await put(nothing, isLast: true)
            #expect(end.outcomes.isEmpty)
            #expect(try await shard.delete([ids[3]]).outcomes == [.deleted])
            let late = try await put(batch)
            #expect(late.outcomes == ids.map { _ in .superseded })
            // It does not come into a log.
            if replicas > 1 { #expect(late.sequence <= end.sequence) }
            // A coordinator that did not hear of the end asks for it again.
            #expect(try await put(nothing, isLast: true).outcomes.isEmpty)
            let kept = ids.filter { $0 != ids[3] }
            for index in 0..<replicas {
                _ = try await shard.eventually("replica \(index) has what is kept") { () async throws(WireStatus) in
                    try await shard.faces(ids, on: index) == kept
                }
            }
        }
    }
}
