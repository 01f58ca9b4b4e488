import MienClient

/// Shards that workers make to take the place of others, as text and as JSON.
enum SuccessorReport {
    /// A table with an empty line before it; nothing when none is being made.
    static func table(_ cluster: ClusterInfo) -> String {
        let names = Dictionary(
            cluster.collections.map { ($0.id, $0.options.name) },
            uniquingKeysWith: { first, _ in first }
        )
        var table = TextTable([
            .init("being made at", widthLimit: 28), .init("shard", widthLimit: 48), .init("state"),
            .init("rows", .right), .init("disk", .right), .init("failed because", widthLimit: 80),
        ])
        var isEmpty = true
        for worker in cluster.workers.sorted(by: { $0.address < $1.address }) where worker.isLive {
            for successor in worker.successors {
                isEmpty = false
                table.append([
                    worker.address, "\(names[successor.collectionID] ?? "?")/\(successor.shardIndex)",
                    successor.state.rawValue, "\(successor.rowCount) of \(successor.totalRowCount)",
                    NumberText.bytes(successor.diskByteCount), successor.failure ?? "",
                ])
            }
        }
        return isEmpty ? "" : "\n" + table.rendered()
    }

    static func json(_ successor: ClusterInfo.Successor) -> JSONValue {
        .object([
            ("collection", .string(successor.collectionID)), ("shard", .count(successor.shardIndex)),
            ("state", .string(successor.state.rawValue)), ("rows", .count(successor.rowCount)),
            ("total_rows", .count(successor.totalRowCount)), ("disk_bytes", .count(successor.diskByteCount)),
            ("failure", .text(successor.failure)),
        ])
    }
}
