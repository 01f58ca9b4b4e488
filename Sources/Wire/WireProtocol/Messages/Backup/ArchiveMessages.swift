package import FaceModel

/// Coordinator → primary: entries of the shard's log behind those that an archive has. From then on the primary marks
/// when it orders, and keeps what the archive has not got yet as long as it can.
package struct ReadLog: Hashable, Sendable {
    package var route: ShardRoute
    /// Nil where the archive begins: behind what is applied.
    package var after: ArchivePosition?

    package init(route: ShardRoute, after: ArchivePosition?) {
        self.route = route
        self.after = after
    }
}

/// Its answer.
package struct LogRead: Hashable, Sendable {
    package var entries: ArchivedEntries

    package init(entries: ArchivedEntries) {
        self.entries = entries
    }
}
