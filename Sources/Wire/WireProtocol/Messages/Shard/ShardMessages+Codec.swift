import ClusterModel
import FaceModel

extension ShardRoute {
    func encode(into writer: inout PayloadWriter) {
        shard.encode(into: &writer)
        epoch.encode(into: &writer)
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(shard: try ShardID(decoding: &reader), epoch: try Epoch(decoding: &reader))
    }
}

extension ShardEnrol: WireRequest {
    package typealias Reply = ShardEnrolled
    package static var type: MessageType { .shardEnrol }
    package var expectedByteCount: Int { EnrolBatch.expectedByteCount(rows, embeddings) }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        key.encode(into: &writer)
        writer.age(age)
        EnrolBatch.encode(rows, embeddings, into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let route = try ShardRoute(decoding: &reader)
        let key = try IdempotencyKey(decoding: &reader)
        let age = try reader.age()
        let batch = try EnrolBatch.decode(&reader)
        self.init(route: route, key: key, age: age, rows: batch.rows, embeddings: batch.embeddings)
    }
}

extension ShardEnrolled: WireMessage {
    package static var type: MessageType { .shardEnrolled }
    package var expectedByteCount: Int { 64 + outcomes.count * 2 }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(outcomes)
        writer.integer(sequence)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(outcomes: try reader.array("outcomes"), sequence: try reader.integer("sequence"))
    }
}

extension ShardDelete: WireRequest {
    package typealias Reply = ShardDeleted
    package static var type: MessageType { .shardDelete }
    package var expectedByteCount: Int { 64 + ids.count * 16 }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        key.encode(into: &writer)
        writer.age(age)
        writer.array(ids)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            route: try ShardRoute(decoding: &reader),
            key: try IdempotencyKey(decoding: &reader),
            age: try reader.age(),
            ids: try reader.array("ids", limit: Int(reader.limits.batchRowCount), isEmptyAllowed: false)
        )
    }
}

extension ShardDeleted: WireMessage {
    package static var type: MessageType { .shardDeleted }
    package var expectedByteCount: Int { 64 + outcomes.count }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(outcomes)
        writer.integer(sequence)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(outcomes: try reader.array("outcomes"), sequence: try reader.integer("sequence"))
    }
}

extension ShardGet: WireRequest {
    package typealias Reply = FaceList
    package static var type: MessageType { .shardGet }
    package var expectedByteCount: Int { 64 + ids.count * 16 }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        writer.array(ids)
        writer.flag(includesEmbeddings)
        writer.integer(minimumSequence)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            route: try ShardRoute(decoding: &reader),
            ids: try reader.array("ids", limit: Int(reader.limits.batchRowCount), isEmptyAllowed: false),
            includesEmbeddings: try reader.flag("includes embeddings"),
            minimumSequence: try reader.integer("minimum sequence")
        )
    }
}

extension ConfirmShard: WireRequest {
    package typealias Reply = ShardConfirmed
    package static var type: MessageType { .confirmShard }

    package func encode(into writer: inout PayloadWriter) { route.encode(into: &writer) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(route: try ShardRoute(decoding: &reader))
    }
}

extension ShardConfirmed: WireMessage {
    package static var type: MessageType { .shardConfirmed }

    package func encode(into writer: inout PayloadWriter) { writer.integer(sequence) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(sequence: try reader.integer("sequence"))
    }
}

extension ShardList: WireRequest {
    package typealias Reply = FaceList
    package static var type: MessageType { .shardList }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        writer.optional(after)
        range.encode(into: &writer)
        writer.integer(limit)
        writer.flag(includesEmbeddings)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            route: try ShardRoute(decoding: &reader),
            after: try reader.optional("after"),
            range: try HashRange(decoding: &reader),
            limit: UInt32(try reader.count("limit", in: ListFaces.limitRange)),
            includesEmbeddings: try reader.flag("includes embeddings")
        )
    }
}

extension ShardSearch: WireRequest {
    package typealias Reply = ShardSearchAnswer
    package static var type: MessageType { .shardSearch }
    package var expectedByteCount: Int { 256 + probes.values.count * 4 }

    package func encode(into writer: inout PayloadWriter) {
        route.encode(into: &writer)
        parameters.encode(into: &writer)
        writer.integer(minimumSequence)
        writer.optional(excludedFace)
        writer.matrix(probes)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            route: try ShardRoute(decoding: &reader),
            parameters: try SearchParameters(decoding: &reader),
            minimumSequence: try reader.integer("minimum sequence"),
            excludedFace: try reader.optional("excluded face"),
            probes: try reader.probes()
        )
    }
}

extension ShardSearchAnswer: WireMessage {
    package static var type: MessageType { .shardSearchAnswer }
    package var expectedByteCount: Int { matches.reduce(128) { $0 + 4 + $1.count * 96 } }

    package func encode(into writer: inout PayloadWriter) {
        writer.count(matches.count)
        for list in matches { writer.array(list) }
        for number in [faceCount, facesAnswered, rowsVisited, listsVisited] { writer.integer(number) }
        writer.integer(generation)
        writer.later { epoch.encode(into: &$0) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let count = try reader.elementCount("matches", leastByteCount: 4)
        var matches: [[Match]] = []
        matches.reserveCapacity(count)
        for _ in 0..<count { matches.append(try reader.array("matches")) }
        self.init(
            matches: matches,
            faceCount: try reader.amount("face count", limit: AmountLimit.rows),
            facesAnswered: try reader.amount("faces answered", limit: AmountLimit.rows),
            rowsVisited: try reader.integer("rows visited"),
            listsVisited: try reader.integer("lists visited"),
            generation: try reader.integer("generation"),
            epoch: try reader.later(Epoch(0)) { (reader) throws(WireDecodingError) in try Epoch(decoding: &reader) }
        )
    }
}
