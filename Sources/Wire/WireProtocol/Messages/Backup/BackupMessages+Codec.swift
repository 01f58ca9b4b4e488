import ClusterModel
package import FaceModel

extension SnapshotID: WireValue {
    package static var leastByteCount: Int { 16 }
    package func encode(into writer: inout PayloadWriter) { writer.identity(high: high, low: low) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let value = try reader.identity("snapshot id")
        self.init(high: value.high, low: value.low)
    }
}

extension ErasureKey: WireValue {
    package static var leastByteCount: Int { 16 }
    package func encode(into writer: inout PayloadWriter) { writer.identity(high: high, low: low) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let value = try reader.identity("erasure key")
        self.init(high: value.high, low: value.low)
    }
}

extension ArchivedFaces.Row: WireValue {
    package static var leastByteCount: Int { FaceID.leastByteCount + 16 + FaceMetadata.leastByteCount }

    package func encode(into writer: inout PayloadWriter) {
        id.encode(into: &writer)
        writer.integer(version.epoch)
        writer.integer(version.sequence)
        metadata.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            id: try FaceID(decoding: &reader),
            version: FaceVersion(epoch: try reader.integer("epoch"), sequence: try reader.integer("sequence")),
            metadata: try FaceMetadata(decoding: &reader)
        )
    }
}

extension ArchivedFaces: WireValue {
    package static var leastByteCount: Int { 9 }

    var expectedByteCount: Int { 64 + rows.count * 96 + embeddings.count }

    package func encode(into writer: inout PayloadWriter) {
        writer.count(dimension)
        writer.integer(precision.rawValue)
        writer.array(rows)
        writer.fixedBytes(embeddings)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let dimension = try reader.count("dimension", in: PayloadReader.dimensionRange)
        let precision: StoredPrecision = try reader.enumeration("stored precision")
        let rows: [Row] = try reader.array("rows", limit: ReadSnapshot.limitRange.upperBound)
        self.init(
            dimension: dimension,
            precision: precision,
            rows: rows,
            embeddings: try reader.fixedBytes(
                "embeddings",
                byteCount: rows.count * dimension * precision.byteCount
            )
        )
    }
}

/// The 256 sums of a digest, each as its low and its high half.
enum DigestSlices {
    static func encode(_ slices: [UInt128], into writer: inout PayloadWriter) {
        for slice in slices {
            writer.integer(UInt64(truncatingIfNeeded: slice))
            writer.integer(UInt64(truncatingIfNeeded: slice >> 64))
        }
    }

    static func decode(_ reader: inout PayloadReader) throws(WireDecodingError) -> [UInt128] {
        var slices: [UInt128] = []
        for _ in 0..<SnapshotDescription.Content.sliceCount {
            let low: UInt64 = try reader.integer("slice")
            let high: UInt64 = try reader.integer("slice")
            slices.append(UInt128(high) << 64 | UInt128(low))
        }
        return slices
    }
}

extension BeginBackup: WireRequest {
    package typealias Reply = BackupBegun
    package static var type: MessageType { .beginBackup }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        snapshot.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            snapshot: try SnapshotID(decoding: &reader)
        )
    }
}

extension BackupBegun.Shard: WireValue {
    package static var leastByteCount: Int { 68 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(index)
        range.encode(into: &writer)
        cut.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            index: try reader.integer("shard index"),
            range: try HashRange(decoding: &reader),
            cut: try ShardCut(decoding: &reader)
        )
    }
}

extension BackupBegun: WireMessage {
    package static var type: MessageType { .backupBegun }
    package var expectedByteCount: Int { 256 + shards.count * 52 }

    package func encode(into writer: inout PayloadWriter) {
        collection.encode(into: &writer)
        writer.array(shards)
        writer.later { $0.optional(loss) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try Collection(decoding: &reader),
            shards: try reader.array("shards"),
            loss: try reader.later(nil) { (reader) throws(WireDecodingError) in try reader.optional("loss") }
        )
    }
}

extension SnapshotRoute {
    func encode(into writer: inout PayloadWriter) {
        worker.encode(into: &writer)
        snapshot.encode(into: &writer)
        shard.encode(into: &writer)
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            worker: try NodeID(decoding: &reader),
            snapshot: try SnapshotID(decoding: &reader),
            shard: try ShardID(decoding: &reader)
        )
    }
}

extension DescribeSnapshot: WireRequest {
    package typealias Reply = SnapshotDescription
    package static var type: MessageType { .describeSnapshot }
    package func encode(into writer: inout PayloadWriter) { route.encode(into: &writer) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(route: try SnapshotRoute(decoding: &reader))
    }
}

extension SnapshotDescription: WireMessage {
    package static var type: MessageType { .snapshotDescription }
    package var expectedByteCount: Int { 4160 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(copiedByteCount)
        writer.integer(totalByteCount)
        writer.optional(content) { writer, content in
            writer.integer(content.faceCount)
            DigestSlices.encode(content.slices, into: &writer)
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            copiedByteCount: try reader.integer("copied bytes"),
            totalByteCount: try reader.integer("total bytes"),
            content: try reader.optional("content") { (reader) throws(WireDecodingError) in
                Content(faceCount: try reader.integer("face count"), slices: try DigestSlices.decode(&reader))
            }
        )
    }
}

extension ReadSnapshot: WireRequest {
    package typealias Reply = SnapshotPage
    package static var type: MessageType { .readSnapshot }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        writer.integer(slice)
        writer.integer(offset)
        writer.count(limit)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            route: try SnapshotRoute(decoding: &reader),
            slice: try reader.integer("slice"),
            offset: try reader.integer("offset"),
            limit: try reader.count("limit", in: Self.limitRange)
        )
    }
}

extension SnapshotPage: WireMessage {
    package static var type: MessageType { .snapshotPage }
    package var expectedByteCount: Int { faces.expectedByteCount }

    package func encode(into writer: inout PayloadWriter) {
        faces.encode(into: &writer)
        writer.flag(isLast)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(faces: try ArchivedFaces(decoding: &reader), isLast: try reader.flag("mark of the last page"))
    }
}

extension ReleaseSnapshot: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .releaseSnapshot }
    package func encode(into writer: inout PayloadWriter) { route.encode(into: &writer) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(route: try SnapshotRoute(decoding: &reader))
    }
}

extension HoldWrites: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .holdWrites }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        snapshot.encode(into: &writer)
        writer.count(limit)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            route: try ShardRoute(decoding: &reader),
            snapshot: try SnapshotID(decoding: &reader),
            limit: try reader.count("limit", in: Self.limitRange)
        )
    }
}

extension CutShard: WireRequest {
    package typealias Reply = ShardCut
    package static var type: MessageType { .cutShard }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        snapshot.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(route: try ShardRoute(decoding: &reader), snapshot: try SnapshotID(decoding: &reader))
    }
}

extension ShardCut: WireMessage {
    package static var type: MessageType { .shardCut }

    package func encode(into writer: inout PayloadWriter) {
        worker.encode(into: &writer)
        epoch.encode(into: &writer)
        writer.integer(sequence)
        erasureKey.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            worker: try NodeID(decoding: &reader),
            epoch: try Epoch(decoding: &reader),
            sequence: try reader.integer("sequence"),
            erasureKey: try ErasureKey(decoding: &reader)
        )
    }
}
