import Backups
import FaceModel
import PartitionEngine

/// Reads an archived log whole.
enum ArchiveReading {
    /// - Throws: the first thing that is wrong, with the file that it is in.
    static func verify(
        _ chain: ArchiveChain,
        in store: any BackupStore,
        _ read: (Int) -> Void
    ) async throws(BackupError) {
        for line in chain.lines {
            for run in line.runs {
                var log = LogReplay(checkingFrom: run.start)
                for part in run.parts {
                    let segment = try await store.segment(of: part, in: chain.collection)
                    do throws(LogReplayError) {
                        for entry in segment.entries { try log.add(entry) }
                    } catch {
                        throw .damaged(object: path(of: part, in: store), reason: "\(error)")
                    }
                    guard log.position == part.end else {
                        throw .damaged(
                            object: path(of: part, in: store),
                            reason: "its last entry is not the one that the archive names"
                        )
                    }
                    read(Int(part.segment?.byteCount ?? 0))
                }
            }
        }
    }

    private static func path(of part: ArchiveVolume.Part, in store: any BackupStore) -> String {
        part.segment.map { store.path(of: BackupName.segment($0.digest)) } ?? store.place
    }
}
