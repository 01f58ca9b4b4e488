internal import BinaryCoding
package import FaceModel

/// The stored form of a ``PartitionIdentity``: collection id (2 × 8), created (8), name, model (strings: 16-bit count,
/// UTF-8), dimension (4), shard count (4), replication factor (2), least replicas in sync (2; 0 for the usual number),
/// precision (1), shard index (4), first and last hash (2 × 8), CRC-32C (4); little-endian.
package enum IdentityRecord {
    package static func encode(_ identity: PartitionIdentity) -> [UInt8] {
        let collection = identity.collection
        let configuration = collection.configuration
        var writer = ByteWriter()
        writer.write(collection.id.high)
        writer.write(collection.id.low)
        writer.write(collection.created.milliseconds)
        writer.write(string: configuration.name)
        writer.write(string: configuration.embeddingModel)
        writer.write(UInt32(configuration.dimension))
        writer.write(UInt32(configuration.shardCount))
        writer.write(UInt16(configuration.replicationFactor))
        let usual = min(2, configuration.replicationFactor)
        writer.write(UInt16(configuration.minimumInSync == usual ? 0 : configuration.minimumInSync))
        writer.write(configuration.storedPrecision.rawValue)
        writer.write(identity.shardIndex)
        writer.write(identity.firstHash)
        writer.write(identity.lastHash)
        return RecordSeal.seal(writer)
    }

    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(PartitionStoreError) -> PartitionIdentity {
        let body = try unsafe RecordSeal.open(bytes, table: "meta", key: 1)
        do {
            var reader = unsafe ByteReader(body)
            let id = CollectionID(high: try reader.read(), low: try reader.read())
            let created = Timestamp(milliseconds: try reader.read())
            let name = try reader.readString()
            let model = try reader.readString()
            let dimension = Int(try reader.read(UInt32.self))
            let shardCount = Int(try reader.read(UInt32.self))
            let replicationFactor = Int(try reader.read(UInt16.self))
            let minimumInSync = Int(try reader.read(UInt16.self))
            let offset = reader.offset
            guard let precision = StoredPrecision(rawValue: try reader.read()) else {
                throw BinaryCodingError.invalidValue(field: "precision", offset: offset)
            }
            let identity = PartitionIdentity(
                collection: Collection(
                    id: id,
                    configuration: CollectionConfiguration(
                        name: name,
                        dimension: dimension,
                        embeddingModel: model,
                        shardCount: shardCount,
                        replicationFactor: replicationFactor,
                        minimumInSync: minimumInSync == 0 ? nil : minimumInSync,
                        storedPrecision: precision
                    ),
                    created: created
                ),
                shardIndex: try reader.read(),
                firstHash: try reader.read(),
                lastHash: try reader.read()
            )
            try reader.finish()
            guard identity.collection.configuration.problem == nil, identity.firstHash <= identity.lastHash else {
                throw BinaryCodingError.invalidValue(field: "identity", offset: 0)
            }
            return identity
        } catch {
            throw .malformed(table: "meta", reason: "\(error)")
        }
    }
}
