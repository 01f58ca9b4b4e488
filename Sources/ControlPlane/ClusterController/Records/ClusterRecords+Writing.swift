import ClusterModel
package import ClusterState
import FaceModel

extension ClusterRecords {
    /// The records that add up to the metadata, in order of key and all of the first version.
    package static func records(of metadata: ClusterMetadata) -> [MetadataRecord] {
        var changes = [put(cluster: metadata.clusterID), put(metadata.epoch)]
        changes += metadata.workers.map { put($0.key, $0.value, metadata.standing(of: $0.key)) }
        changes += metadata.operations.values.map(put)
        for record in metadata.collections.values {
            changes += [put(record), put(name: record.collection.name, record.collection.id)]
        }
        changes += Set(metadata.pins.keys.map(\.collection)).map { put(pins: metadata.pins(of: $0), of: $0) }
        changes += metadata.deletions.map { put(deletion: $0.key, $0.value) }
        return changes.compactMap { change in
            guard case .put(let key, let value) = change else { return nil }
            return MetadataRecord(key: key, value: value, version: MetadataRevision(1))
        }.sorted { $0.key < $1.key }
    }
}
