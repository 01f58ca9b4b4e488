import FaceModel
import FaceRecords
import Foundation
import LMDB
import PartitionStore

/// Makes the partition of a worker that is stopped hold something else than it was told, with right checksums.
enum AlteredPartition {
    enum Change: CaseIterable {
        /// One record of a face is another one, as if a disk had brought an earlier one back.
        case record
        /// The sums that the partition keeps of all its faces are those of what it holds now, as if a defect had
        /// written it so.
        case recordAndDigest
    }

    /// Gives a face another quality.
    ///
    /// - Parameter folder: of a worker with one partition.
    static func make(_ change: Change, ofFace id: FaceID, in folder: String) throws {
        var options = EnvironmentOptions()
        options.mapByteCount = 1 << 30
        let environment = try LMDB.Environment(path: try path(in: folder), options: options)
        defer { environment.close() }
        let tables = try PartitionTables(environment, create: false)
        try environment.write { transaction in
            guard let stored = try unsafe tables.faceRecord(of: id, transaction.reading),
                let identity = try unsafe transaction.reading.value(of: tables.meta, key: MetaKey.identity),
                let sums = try unsafe transaction.reading.value(of: tables.meta, key: MetaKey.digest)
            else { throw StoryError("the partition lacks what is to be changed") }
            var record = try unsafe FaceRecord(bytes: stored, face: id)
            var digest = try unsafe DigestRecord(bytes: sums)
            let collection = try unsafe IdentityRecord.decode(identity).collection.id
            digest.remove(try contribution(of: id, record, in: collection))
            record.metadata.quality = (record.metadata.quality ?? 0) + 1
            digest.add(try contribution(of: id, record, in: collection))
            try transaction.put(tables.faces, key: id, value: record.encoded(for: id))
            if change == .recordAndDigest {
                try transaction.put(tables.meta, key: MetaKey.digest, value: digest.encoded())
            }
        }
    }

    private static func path(in folder: String) throws -> String {
        let paths = try FileManager.default.subpathsOfDirectory(atPath: folder)
            .filter { $0.hasSuffix("/partition/data.mdb") }
        guard paths.count == 1 else { throw StoryError("the worker has \(paths.count) partitions") }
        return "\(folder)/\(paths[0].dropLast("/data.mdb".count))"
    }

    private static func contribution(
        of id: FaceID,
        _ record: FaceRecord,
        in collection: CollectionID
    ) throws -> FaceContribution {
        guard let checksum = record.embeddingChecksum else { throw StoryError("the face has no checksum") }
        return FaceContribution(
            of: id,
            version: record.version,
            metadata: record.metadata,
            embeddingChecksum: checksum,
            in: collection
        )
    }
}
