import Glibc

/// A coordinator's data folder: `metadata/` holds what the cluster agreed on, `codebooks/` the codebooks it names.
package struct CoordinatorFolder: Sendable {
    package let store: EmbeddedMetadataStore
    package let codebooks: CodebookFiles

    /// Opens the folder, made when it is missing.
    ///
    /// - Throws: one sentence each for a folder that cannot be written, that another process uses, that a newer version
    ///   wrote, or that is damaged.
    package static func open(at path: String) async throws(MetadataError) -> CoordinatorFolder {
        let store = try await EmbeddedMetadataStore.open(at: path + "/metadata")
        let codebooks = CodebookFiles(directory: path + "/codebooks")
        do throws(CodebookFileError) {
            try await DiskLane(label: "mien.codebooks.opening").run { () throws(CodebookFileError) in
                try codebooks.prepare()
            }
        } catch {
            await store.close()
            throw .unavailable(reason: "\(error)")
        }
        return CoordinatorFolder(store: store, codebooks: codebooks)
    }
}
