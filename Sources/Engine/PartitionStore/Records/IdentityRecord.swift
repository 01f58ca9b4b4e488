internal import BinaryCoding
package import FaceModel

/// The stored form of a ``PartitionIdentity``: collection id (2 × 8), created (8), name, model (strings: 16-bit count,
/// UTF-8), dimension (4), shard count (4), replication factor (2), least replicas in sync (2; 0 for the usual number),
/// precision (1), shard index (4), first and last hash (2 × 8), erasure key (2 × 8; absent before format 6), CRC-32C
/// (4); little-endian.
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
        writer.write(identity.erasureKey.high)
        writer.write(identity.erasureKey.low)
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
            let collection = Collection(
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
            )
            let (shardIndex, firstHash, lastHash) = (
                try reader.read(UInt32.self), try reader.read(UInt64.self), try reader.read(UInt64.self)
            )
            let erasureKey =
                reader.remainingByteCount > 0
                ? ErasureKey(high: try reader.read(), low: try reader.read()) : nil
            let identity = PartitionIdentity(
                collection: collection,
                shardIndex: shardIndex,
                firstHash: firstHash,
                lastHash: lastHash,
                erasureKey: erasureKey
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
