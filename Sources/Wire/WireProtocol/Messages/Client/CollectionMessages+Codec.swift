import ClusterModel
import FaceModel

extension CollectionDescription.Replica: WireValue {
    package static var leastByteCount: Int { 28 }

    package func encode(into writer: inout PayloadWriter) {
        worker.encode(into: &writer)
        writer.flag(isPrimary)
        writer.flag(isInSync)
        writer.integer(role.rawValue)
        writer.integer(state.rawValue)
        writer.integer(sequence)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            worker: try NodeID(decoding: &reader),
            isPrimary: try reader.flag("mark of the primary"),
            isInSync: try reader.flag("mark of being in sync"),
            role: try reader.enumeration("replica role"),
            state: try reader.enumeration("replica state"),
            sequence: try reader.integer("replica sequence")
        )
    }
}

extension CollectionDescription.Shard: WireValue {
    package static var leastByteCount: Int { 74 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(index)
        range.encode(into: &writer)
        writer.optional(worker)
        writer.integer(state.rawValue)
        for number in [faceCount, freshCount, tombstoneCount, sequence] { writer.integer(number) }
        writer.integer(generation)
        writer.integer(olderGeneration)
        writer.integer(olderRowCount)
        writer.array(replicas)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            index: try reader.integer("shard index"),
            range: try HashRange(decoding: &reader),
            worker: try reader.optional("worker"),
            state: try reader.enumeration("shard state"),
            faceCount: try reader.integer("face count"),
            freshCount: try reader.integer("fresh count"),
            tombstoneCount: try reader.integer("tombstone count"),
            sequence: try reader.integer("sequence"),
            generation: try reader.integer("generation"),
            olderGeneration: try reader.integer("older generation"),
            olderRowCount: try reader.integer("rows of the older generation"),
            replicas: try reader.array("replicas")
        )
    }
}

extension CalibrationPoint: WireValue {
    package static var leastByteCount: Int { 20 }

    package func encode(into writer: inout PayloadWriter) {
        writer.float(leastSimilarity)
        writer.double(recall)
        writer.double(visitedShare)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            leastSimilarity: try reader.float("least similarity"),
            recall: try reader.double("recall", in: 0...1),
            visitedShare: try reader.double("visited share", in: 0...1)
        )
    }
}

extension CollectionDescription.Codebook: WireValue {
    package static var leastByteCount: Int { 32 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(generation)
        writer.count(codedDimension)
        writer.count(codeByteCount)
        writer.count(listCount)
        writer.float(energyShare)
        writer.integer(sampleCount)
        writer.integer(calibrationProbeCount)
        writer.array(calibration)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            generation: try reader.integer("generation"),
            codedDimension: Int(try reader.integer("coded dimension") as UInt32),
            codeByteCount: Int(try reader.integer("bytes per code") as UInt32),
            listCount: Int(try reader.integer("list count") as UInt32),
            energyShare: try reader.float("energy share"),
            sampleCount: try reader.integer("sample count"),
            calibrationProbeCount: try reader.integer("calibration probe count"),
            calibration: try reader.array("calibration")
        )
    }
}

extension CollectionDescription.CodebookStanding: WireValue {
    package static var leastByteCount: Int { 25 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(origin.cause.rawValue)
        writer.integer(origin.faceCount)
        fit.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            origin: CodebookOrigin(
                cause: try reader.enumeration("training cause"),
                faceCount: try reader.integer("face count at training")
            ),
            fit: try CodebookFit(decoding: &reader)
        )
    }
}

extension CollectionDescription.Training: WireValue {
    package static var leastByteCount: Int { 33 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(generation)
        worker.encode(into: &writer)
        progress.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            generation: try reader.integer("generation in training"),
            worker: try NodeID(decoding: &reader),
            progress: try WorkerReport.Training.Progress(decoding: &reader)
        )
    }
}

extension CollectionDescription: WireMessage, WireValue {
    package static var type: MessageType { .collectionDescription }
    package static var leastByteCount: Int { 48 }
    package var expectedByteCount: Int { 512 + shards.count * 160 }

    package func encode(into writer: inout PayloadWriter) {
        collection.encode(into: &writer)
        writer.array(shards)
        writer.integer(training.rawValue)
        writer.optional(codebook)
        writer.optional(standing)
        writer.optional(trainingUnderWay)
        writer.optional(restoredFrom) { $0.string($1, "backup name") }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try Collection(decoding: &reader),
            shards: try reader.array("shards"),
            training: try reader.enumeration("training"),
            codebook: try reader.optional("codebook"),
            standing: try reader.optional("codebook standing"),
            trainingUnderWay: try reader.optional("training under way"),
            restoredFrom: try reader.flag("mark of a restoration")
                ? try reader.string("backup name", limit: NameLimit.backup) : nil
        )
    }
}

extension CreateCollection: WireRequest {
    package typealias Reply = CollectionDescription
    package static var type: MessageType { .createCollection }

    package func encode(into writer: inout PayloadWriter) { configuration.encode(into: &writer) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(configuration: try CollectionConfiguration(decoding: &reader))
    }
}

extension DescribeCollection: WireRequest {
    package typealias Reply = CollectionDescription
    package static var type: MessageType { .describeCollection }

    package func encode(into writer: inout PayloadWriter) { writer.string(name, "collection name") }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(name: try reader.string("collection name", limit: NameLimit.collection))
    }
}

extension ListCollections: WireRequest, EmptyWireMessage {
    package typealias Reply = CollectionList
    package static var type: MessageType { .listCollections }
}

extension CollectionList: WireMessage {
    package static var type: MessageType { .collectionList }

    package func encode(into writer: inout PayloadWriter) { writer.array(collections) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(collections: try reader.array("collections"))
    }
}

extension DeleteCollection: WireRequest {
    package typealias Reply = CollectionDeleted
    package static var type: MessageType { .deleteCollection }
    package var needsGuards: Bool { id != nil }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(name, "collection name")
        writer.later { $0.optional(id) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            name: try reader.string("collection name", limit: NameLimit.collection),
            id: try reader.later(nil) { (reader) throws(WireDecodingError) in try reader.optional("collection") }
        )
    }
}

extension CollectionDeleted.Worker: WireValue {
    package static var leastByteCount: Int { 17 }

    package func encode(into writer: inout PayloadWriter) {
        id.encode(into: &writer)
        writer.optional(address)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(id: try NodeID(decoding: &reader), address: try reader.optional("address"))
    }
}

extension CollectionDeleted: WireMessage {
    package static var type: MessageType { .collectionDeleted }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(faceCount)
        writer.later { $0.array(unconfirmed) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            faceCount: try reader.integer("face count"),
            unconfirmed: try reader.later([]) { (reader) throws(WireDecodingError) in try reader.array("unconfirmed") }
        )
    }
}
