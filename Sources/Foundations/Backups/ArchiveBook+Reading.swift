package import ClusterModel
package import FaceModel

extension ArchiveBook {
    /// Reads where the list of a collection's archive ends.
    ///
    /// Where its newest object is damaged the next one takes its place, and the list goes on from the volume before:
    /// what the logs still have is archived once more, and the rest is a gap. Without a volume before that can be read
    /// every shard begins anew. The damaged object stays until it is pruned.
    ///
    /// - Parameters:
    ///   - name: of the collection now.
    ///   - cluster: that archives.
    /// - Returns: also what is wrong with the newest object; nil when nothing is.
    package static func read(
        _ collection: CollectionID,
        named name: String,
        of cluster: NodeID,
        in store: some BackupStore
    ) async throws(BackupError) -> (book: ArchiveBook, damage: BackupError?) {
        let names = try await store.volumes(of: collection)
        guard let newest = names.last else {
            return (ArchiveBook(collection: collection, name: name, cluster: cluster, head: nil), nil)
        }
        do throws(BackupError) {
            let head = (name: newest, volume: try await store.volume(newest))
            return (ArchiveBook(collection: collection, name: name, cluster: cluster, head: head), nil)
        } catch {
            // Its name is all that is known of it, and may be anything.
            guard case .damaged = error, newest.number > 0, newest.number < .max, newest.revision < .max - 1 else {
                throw error
            }
            let before = names.last { $0.number == newest.number - 1 }
            let head = try await sound(before, in: store)
            return (
                ArchiveBook(collection: collection, name: name, cluster: cluster, head: head, before: newest), error
            )
        }
    }

    /// A volume with its name, if there is one and it can be read.
    private static func sound(
        _ name: BackupName.Volume?,
        in store: some BackupStore
    ) async throws(BackupError) -> (name: BackupName.Volume, volume: ArchiveVolume)? {
        guard let name else { return nil }
        do throws(BackupError) {
            return (name, try await store.volume(name))
        } catch {
            guard case .damaged = error else { throw error }
            return nil
        }
    }
}
