import Backups
import FoundationEssentials
import NIOCore
import ObjectStore

/// Where a coordinator archives to: a folder that it can reach, or a bucket.
enum ArchivePlace {
    /// What opens the place, which may be away now.
    ///
    /// - Throws: for an address that is none, or without keys.
    static func opening(
        _ place: String,
        group: any EventLoopGroup
    ) throws(NodeStartError) -> @Sendable () async throws(BackupError) -> any BackupStore {
        guard place.hasPrefix("s3://") else {
            return { () async throws(BackupError) in
                // Not made: what is missing may be a disk that is not mounted.
                try await ThreadedStore.opening(place) { () throws(BackupError) in
                    let store = try FolderStore(place, createsFolder: false)
                    try store.checkIsWritable()
                    return store
                }
            }
        }
        do throws(ObjectStoreOptions.Problem) {
            let options = try ObjectStoreOptions(place: place, environment: ProcessInfo.processInfo.environment)
            // What it cannot be told now it is told at the next turn.
            return { () async throws(BackupError) in ObjectStore(options, retries: .brief, group: group) }
        } catch {
            throw .archive(error.description)
        }
    }
}
