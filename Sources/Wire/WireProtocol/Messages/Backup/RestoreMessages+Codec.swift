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
        writer.later { $0.optional(loss) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            configuration: try CollectionConfiguration(decoding: &reader),
            backup: try reader.string("backup name", limit: NameLimit.backup),
            epoch: try Epoch(decoding: &reader),
            erasureKey: try ErasureKey(decoding: &reader),
            loss: try reader.later(nil) { (reader) throws(WireDecodingError) in try reader.optional("loss") }
        )
        guard !backup.isEmpty else { throw .invalid(field: "backup name", rule: "it must not be empty") }
    }
}

extension ReadCodebook: WireRequest {
    package typealias Reply = CodebookFetched
    package static var type: MessageType { .readCodebook }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.integer(offset)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            offset: try reader.integer("offset")
        )
    }
}

extension RestoreCodebook: WireRequest {
    package typealias Reply = Acknowledgement
    package static var type: MessageType { .restoreCodebook }
    package static let digestByteCount = 32
    package var expectedByteCount: Int { 1024 + summary.calibration.count * 20 + slice.bytes.count }

    package func encode(into writer: inout PayloadWriter) {
        precondition(digest.count == Self.digestByteCount, "the digest is a SHA-256")
        writer.string(collection, "collection name")
        writer.string(backup, "backup name")
        writer.integer(origin.cause.rawValue)
        writer.integer(origin.faceCount)
        writer.fixedBytes(digest)
        summary.encode(into: &writer)
        slice.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            backup: try reader.string("backup name", limit: NameLimit.backup),
            origin: CodebookOrigin(
                cause: try reader.enumeration("training cause"),
                faceCount: try reader.integer("face count at training")
            ),
            digest: try reader.fixedBytes("digest", byteCount: Self.digestByteCount),
            summary: try CollectionDescription.Codebook(decoding: &reader),
            slice: try CodebookSlice(decoding: &reader)
        )
        guard summary.generation > 0, summary.generation < .max else {
            throw .invalid(field: "generation", rule: "it must have one before it and one after")
        }
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
