/// What a program does with a place for a while, and whom that keeps away.
package enum StoreUse: Sendable {
    /// Reads backups, which have to stay: others may write, and nobody may remove.
    case reading
    /// Adds a backup, which counts on what is there: nobody else adds one, and nobody may remove.
    case writing
    /// Removes: nobody else uses it.
    case pruning

    /// Whether a place is not used so while another uses it so.
    package func excludes(_ other: StoreUse) -> Bool {
        switch (self, other) {
        case (.reading, .reading), (.reading, .writing), (.writing, .reading): false
        case (.writing, .writing), (.pruning, _), (_, .pruning): true
        }
    }
}
