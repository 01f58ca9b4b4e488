import Backups
import ClusterModel
import FaceModel
import FaceRecords
import PartitionEngine

/// What an archived log makes of a backup on the way to a moment: read once to know what becomes of each face, and once
/// more for the faces that are there in the end.
struct RestoreReplay: Sendable {
    let plan: ArchivePlan
    let collection: CollectionID
    private let store: any BackupStore
    /// In order of the plan's shards, which is that of the ring.
    private let replays: [LogReplay]

    /// Reads what is needed of the log.
    ///
    /// - Throws: the first thing that is wrong, with the file that it is in.
    init(
        _ plan: ArchivePlan,
        of collection: CollectionID,
        in store: any BackupStore,
        _ read: (Int) -> Void
    ) async throws(BackupError) {
        var replays: [LogReplay] = []
        for shard in plan.shards {
            var replay = LogReplay(after: shard.cut, from: shard.start)
            for part in shard.parts {
                let segment = try await store.segment(of: part, in: collection)
                let wanted = segment.entries.prefix(Int(clamping: shard.last - part.start.sequence))
                do throws(LogReplayError) {
                    for entry in wanted { try replay.add(entry) }
                } catch {
                    throw .damaged(object: Self.path(of: part, in: store), reason: "\(error)")
                }
                read(Int(part.segment?.byteCount ?? 0))
            }
            replays.append(replay)
        }
        self.plan = plan
        self.collection = collection
        self.store = store
        self.replays = replays
    }

    private static func path(of part: ArchiveVolume.Part, in store: any BackupStore) -> String {
        part.segment.map { store.path(of: BackupName.segment($0.digest)) } ?? store.place
    }

    /// Whether a face of the backup is still as it was there.
    func keeps(_ face: ArchivedFaces.Row) -> Bool {
        let hash = FaceIDHash.hash(face.id, in: collection)
        guard let index = plan.shards.firstIndex(where: { $0.shard.range.contains(hash) }) else { return true }
        return replays[index].keeps(face)
    }

    /// Gives the faces that the log brought and that are there in the end, entry by entry.
    func faces(
        ofShard index: Int,
        _ send: (ArchivedFaces) async throws(CommandFailure) -> Void
    ) async throws(CommandFailure) {
        let shard = plan.shards[index]
        for part in shard.parts {
            let segment = try await keeping { () async throws(BackupError) in
                try await store.segment(of: part, in: collection)
            }
            for entry in segment.entries.prefix(Int(clamping: shard.last - part.start.sequence)) {
                let faces: ArchivedFaces?
                do throws(LogReplayError) {
                    faces = try replays[index].faces(of: entry)
                } catch {
                    throw CommandFailure(
                        BackupError.damaged(object: Self.path(of: part, in: store), reason: "\(error)")
                    )
                }
                if let faces { try await send(faces) }
            }
        }
    }
}
