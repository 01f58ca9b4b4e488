package import ClusterModel
import ClusterState

/// Brings a cluster's records from a coordinator's data folder to a store that several coordinators can share.
///
/// Only the records move: who the coordinator is stays in its folder, and codebooks stay where they are. Cut short at
/// any moment, it can be done again.
package enum MetadataMigration {
    package struct Outcome: Hashable, Sendable {
        package var cluster: NodeID
        package var recordCount: Int
        package var byteCount: Int
    }

    /// Copies all records, reads them back, compares, and then marks the folder, which holds no metadata to be used
    /// from then on.
    ///
    /// - Parameters:
    ///   - source: the embedded store, which nobody else uses: its lock proves it.
    ///   - target: holds nothing, or some of the same records from a migration that was cut short.
    /// - Throws: `unusable` when the target holds anything else, or the source nothing.
    package static func run(
        from source: EmbeddedMetadataStore,
        to target: any MetadataStore
    ) async throws(MetadataError) -> Outcome {
        let listing = try await source.list(prefix: "")
        guard !listing.records.isEmpty else {
            throw .unusable(reason: "The data folder holds no cluster's records; there is nothing to migrate.")
        }
        let cluster = try ClusterRecords(listing).metadata.clusterID
        let present = try await target.list(prefix: "")
        try check(present, against: listing)
        let missing = Set(listing.records.map(\.key)).subtracting(present.records.map(\.key))
        // The record that makes the others a cluster comes last: a coordinator refuses a store with a part of them.
        let isLast = { (record: MetadataRecord) in record.key == ClusterRecords.clusterKey }
        try await put(listing.records.filter { missing.contains($0.key) && !isLast($0) }, to: target)
        try await put(listing.records.filter { missing.contains($0.key) && isLast($0) }, to: target)
        let copied = try await target.list(prefix: "")
        try check(copied, against: listing)
        guard copied.records.count == listing.records.count else {
            throw .unavailable(reason: "Records are missing after they were copied; try again.")
        }
        try await source.leave(for: cluster)
        return Outcome(
            cluster: cluster,
            recordCount: listing.records.count,
            byteCount: listing.records.reduce(0) { $0 + $1.key.utf8.count + $1.value.count }
        )
    }

    /// - Throws: when the target holds what the source does not.
    private static func check(_ target: MetadataListing, against source: MetadataListing) throws(MetadataError) {
        let values = Dictionary(source.records.map { ($0.key, $0.value) }, uniquingKeysWith: { first, _ in first })
        for record in target.records where values[record.key] != record.value {
            throw .unusable(
                reason: "The target holds \(target.records.count) records already, and '\(record.key)' is not this "
                    + "cluster's; choose another coordinator.etcd.prefix, or remove what lies under this one."
            )
        }
    }

    private static func put(_ records: [MetadataRecord], to target: any MetadataStore) async throws(MetadataError) {
        var rest = records[...]
        while !rest.isEmpty {
            var byteCount = 0
            let part = rest.prefix(64).prefix { record in
                byteCount += record.value.count
                return byteCount <= EmbeddedMetadataStore.valueByteLimit
            }
            do throws(MetadataError) {
                try await target.commit(
                    part.map { .absent(key: $0.key) },
                    part.map { .put(key: $0.key, value: $0.value) }
                )
            } catch .conflict(let key) {
                throw .unusable(reason: "Somebody else writes to the target at the same time ('\(key)').")
            }
            rest = rest.dropFirst(part.count)
        }
    }
}
