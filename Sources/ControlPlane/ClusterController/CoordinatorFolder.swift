import Glibc
package import Observability

/// A coordinator's data folder: `metadata/` holds who the coordinator is and, unless they are in another store, the
/// records of its cluster; `codebooks/` the codebooks that they name.
package struct CoordinatorFolder: Sendable {
    /// Where the records are.
    package enum Records: Hashable, Sendable {
        case here, elsewhere
    }

    private let path: String
    package let store: EmbeddedMetadataStore
    package let codebooks: CodebookFiles

    /// Opens the folder, made when it is missing.
    ///
    /// - Throws: one sentence each for a folder that cannot be written, that another process uses, that a newer version
    ///   wrote, that is damaged, or whose records are not where they are to be.
    package static func open(
        at path: String,
        records: Records = .here
    ) async throws(MetadataError) -> CoordinatorFolder {
        let store = try await EmbeddedMetadataStore.open(at: path + "/metadata")
        let codebooks = CodebookFiles(directory: path + "/codebooks")
        do throws(MetadataError) {
            let hasLeft = try await store.clusterElsewhere() != nil
            switch records {
            case .here: if hasLeft { throw .recordsElsewhere(path: path) }
            case .elsewhere:
                if !hasLeft, try await !store.list(prefix: "").records.isEmpty { throw .recordsHere(path: path) }
            }
            do throws(CodebookFileError) {
                try await DiskLane(label: "mien.codebooks.opening").run { () throws(CodebookFileError) in
                    try codebooks.prepare()
                }
            } catch {
                throw .unavailable(reason: "\(error)")
            }
        } catch {
            await store.close()
            throw error
        }
        return CoordinatorFolder(path: path, store: store, codebooks: codebooks)
    }

    /// Tells how much room its disk has, where the system says.
    package func collect(into samples: inout MetricSamples) {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return }
        samples.raise(MetricCatalogue.freeDisk, to: Double(status.f_bavail) * Double(status.f_frsize))
    }
}
