import ClusterModel
import FaceModel

extension BeginRestore: WireRequest {
    package typealias Reply = CollectionDescription
    package static var type: MessageType { .beginRestore }

    package func encode(into writer: inout PayloadWriter) {
        configuration.encode(into: &writer)
        writer.string(backup, "backup name")
        epoch.encode(into: &writer)
        erasureKey.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            configuration: try CollectionConfiguration(decoding: &reader),
            backup: try reader.string("backup name", limit: NameLimit.backup),
            epoch: try Epoch(decoding: &reader),
            erasureKey: try ErasureKey(decoding: &reader)
        )
        guard !backup.isEmpty else { throw .invalid(field: "backup name", rule: "it must not be empty") }
    }
}

extension RestoreFaces: WireRequest {
    package typealias Reply = FacesEnrolled
    package static var type: MessageType { .restoreFaces }
    package var expectedByteCount: Int { 128 + faces.expectedByteCount }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        faces.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            faces: try ArchivedFaces(decoding: &reader)
        )
    }
}

extension ShardRestore: WireRequest {
    package typealias Reply = ShardEnrolled
    package static var type: MessageType { .shardRestore }
    package var expectedByteCount: Int { 128 + faces.expectedByteCount }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        faces.encode(into: &writer)
        writer.flag(isLast)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            route: try ShardRoute(decoding: &reader),
            faces: try ArchivedFaces(decoding: &reader),
            isLast: try reader.flag("mark of the last")
        )
    }
}

extension FinishRestore: WireRequest {
    package typealias Reply = CollectionDescription
    package static var type: MessageType { .finishRestore }
    package var expectedByteCount: Int { 4352 }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.string(backup, "backup name")
        writer.integer(faceCount)
        DigestSlices.encode(slices, into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            backup: try reader.string("backup name", limit: NameLimit.backup),
            faceCount: try reader.integer("face count"),
            slices: try DigestSlices.decode(&reader)
        )
    }
}
