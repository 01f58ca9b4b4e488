/// What a `mien` process runs as.
package enum NodeRole: String, Sendable, CaseIterable {
    case dev
    case coordinator
    case worker

    /// Key paths that the role reads. Keys of other roles may stand in the same file: they are checked, not used.
    package var keyPaths: [String] { keys.map(\.path) }

    var keys: [AnyConfigurationKey] {
        switch self {
        case .dev: KeyCatalogue.shared + KeyCatalogue.dev + KeyCatalogue.coordinatorTuning + KeyCatalogue.workerTuning
        case .coordinator: KeyCatalogue.shared + KeyCatalogue.coordinatorPlacement + KeyCatalogue.coordinatorTuning
        case .worker: KeyCatalogue.shared + KeyCatalogue.workerPlacement + KeyCatalogue.workerTuning
        }
    }
}
