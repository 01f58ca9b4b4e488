import ClusterModel
import FaceModel
import NIOCore

/// On the wire a token is a byte string, so that a client need not look inside.
extension ConsistencyToken: WireValue {
    package static let byteLimit = 64 << 10

    package static var leastByteCount: Int { 4 }

    /// The token as a client keeps it.
    package var encoded: [UInt8] {
        var writer = PayloadWriter(ByteBuffer())
        collection.encode(into: &writer)
        writer.count(sequences.count)
        for (shard, sequence) in sequences.sorted(by: { $0.key < $1.key }) {
            writer.integer(shard)
            writer.integer(sequence)
        }
        return Array(writer.buffer.readableBytesView)
    }

    package init(encoded bytes: [UInt8]) throws(WireDecodingError) {
        var reader = PayloadReader(ByteBuffer(bytes: bytes), limits: WireLimits())
        self.init(collection: try CollectionID(decoding: &reader), sequences: [:])
        let count = try reader.elementCount("token shards", leastByteCount: 12)
        for _ in 0..<count {
            let shard: UInt32 = try reader.integer("token shard")
            let sequence: UInt64 = try reader.integer("token sequence")
            if sequences.updateValue(sequence, forKey: shard) != nil { throw .duplicate(field: "token shards") }
        }
        try reader.finish()
    }

    package func encode(into writer: inout PayloadWriter) { writer.bytes(encoded) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        try self.init(encoded: reader.bytes("token", limit: Self.byteLimit))
    }
}

/// Rows and their embeddings, as both enrol messages carry them.
enum EnrolBatch {
    static func encode(_ rows: [EnrolRow], _ embeddings: EmbeddingMatrix, into writer: inout PayloadWriter) {
        writer.array(rows)
        writer.matrix(embeddings)
    }

    static func decode(
        _ reader: inout PayloadReader
    ) throws(WireDecodingError) -> (rows: [EnrolRow], embeddings: EmbeddingMatrix) {
        let limit = Int(reader.limits.batchRowCount)
        let rows: [EnrolRow] = try reader.array("rows", limit: limit, isEmptyAllowed: false)
        let embeddings = try reader.matrix("embeddings", rowLimit: limit)
        guard embeddings.rowCount == rows.count else {
            throw .countMismatch(field: "embeddings", count: embeddings.rowCount, expected: rows.count)
        }
        return (rows, embeddings)
    }

    static func expectedByteCount(_ rows: [EnrolRow], _ embeddings: EmbeddingMatrix) -> Int {
        512 + rows.count * 64 + embeddings.values.count * 4
    }
}

extension PayloadWriter {
    /// Time since the first attempt at a write: milliseconds, rounded up; 49 days is the most that can be said.
    mutating func age(_ age: Duration) {
        let (seconds, attoseconds) = min(max(age, .zero), .milliseconds(UInt32.max)).components
        integer(UInt32(seconds * 1000 + (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000))
    }
}

extension PayloadReader {
    /// What an age is read as that is longer than its 32 bits can say, 49.7 days: whatever was ever forgotten may be
    /// what is asked for.
    private static let longestAge = Duration.seconds(100 * 365 * 86_400)

    mutating func age() throws(WireDecodingError) -> Duration {
        let milliseconds: UInt32 = try integer("age")
        return milliseconds == .max ? Self.longestAge : .milliseconds(milliseconds)
    }
}

extension [StoredFace] {
    var expectedByteCount: Int { 64 + count * (96 + 4 * (first?.embedding?.count ?? 0)) }
}

extension EnrolFaces: WireRequest {
    package typealias Reply = FacesEnrolled
    package static var type: MessageType { .enrolFaces }
    package var expectedByteCount: Int { EnrolBatch.expectedByteCount(rows, embeddings) }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.string(embeddingModel, "embedding model")
        key.encode(into: &writer)
        writer.age(age)
        EnrolBatch.encode(rows, embeddings, into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let collection = try reader.string("collection name", limit: NameLimit.collection)
        let embeddingModel = try reader.string("embedding model", limit: NameLimit.embeddingModel)
        let key = try IdempotencyKey(decoding: &reader)
        let age = try reader.age()
        let batch = try EnrolBatch.decode(&reader)
        self.init(
            collection: collection,
            embeddingModel: embeddingModel,
            key: key,
            age: age,
            rows: batch.rows,
            embeddings: batch.embeddings
        )
    }
}

extension FacesEnrolled: WireMessage {
    package static var type: MessageType { .facesEnrolled }
    package var expectedByteCount: Int { 512 + outcomes.count * 2 + token.sequences.count * 12 }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(outcomes)
        token.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(outcomes: try reader.array("outcomes"), token: try ConsistencyToken(decoding: &reader))
    }
}

extension DeleteFaces: WireRequest {
    package typealias Reply = FacesDeleted
    package static var type: MessageType { .deleteFaces }
    package var expectedByteCount: Int { 256 + ids.count * 16 }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        key.encode(into: &writer)
        writer.age(age)
        writer.array(ids)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            key: try IdempotencyKey(decoding: &reader),
            age: try reader.age(),
            ids: try reader.array("ids", limit: Int(reader.limits.batchRowCount), isEmptyAllowed: false)
        )
    }
}

extension FacesDeleted: WireMessage {
    package static var type: MessageType { .facesDeleted }
    package var expectedByteCount: Int { 512 + outcomes.count + token.sequences.count * 12 }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(outcomes)
        token.encode(into: &writer)
        writer.later { $0.flag(hasLoss) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(outcomes: try reader.array("outcomes"), token: try ConsistencyToken(decoding: &reader))
        hasLoss = try reader.later(false) { (reader) throws(WireDecodingError) in try reader.flag("loss") }
    }
}

extension GetFaces: WireRequest {
    package typealias Reply = FaceList
    package static var type: MessageType { .getFaces }
    package var expectedByteCount: Int { 512 + ids.count * 16 }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.array(ids)
        writer.flag(includesEmbeddings)
        writer.optional(token)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            ids: try reader.array("ids", limit: Int(reader.limits.batchRowCount), isEmptyAllowed: false),
            includesEmbeddings: try reader.flag("includes embeddings"),
            token: try reader.optional("token")
        )
    }
}

extension GetLatestToken: WireRequest {
    package typealias Reply = LatestToken
    package static var type: MessageType { .getLatestToken }

    package func encode(into writer: inout PayloadWriter) { writer.string(collection, "collection name") }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(collection: try reader.string("collection name", limit: NameLimit.collection))
    }
}

extension LatestToken: WireMessage {
    package static var type: MessageType { .latestToken }
    package var expectedByteCount: Int { 64 + token.sequences.count * 12 }

    package func encode(into writer: inout PayloadWriter) { token.encode(into: &writer) }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(token: try ConsistencyToken(decoding: &reader))
    }
}

extension FaceList: WireMessage {
    package static var type: MessageType { .faceList }
    package var expectedByteCount: Int { faces.expectedByteCount }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(faces)
        writer.later { writer in
            writer.flag(hasLoss)
            epoch.encode(into: &writer)
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(faces: try reader.array("faces"))
        (hasLoss, epoch) = try reader.later((hasLoss, epoch)) { (reader) throws(WireDecodingError) in
            (try reader.flag("loss"), try Epoch(decoding: &reader))
        }
    }
}

extension ListPosition: WireValue {
    package static var leastByteCount: Int { 12 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(first)
        writer.array(stretches)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            first: try reader.integer("first place"),
            stretches: try reader.array("stretches", limit: Self.stretchLimit)
        )
        let isInOrder = zip(stretches, stretches.dropFirst()).allSatisfy { $0.last < $1.last }
        guard isInOrder, stretches.first.map({ $0.last >= first }) ?? true else {
            throw .invalid(field: "stretches", rule: "each must end behind the one before")
        }
    }
}

extension ListPosition.Stretch: WireValue {
    package static var leastByteCount: Int { 24 }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(last)
        face.encode(into: &writer)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(last: try reader.integer("last place"), face: try FaceID(decoding: &reader))
    }
}

extension ListFaces: WireRequest {
    package typealias Reply = FacePage
    package static var type: MessageType { .listFaces }
    package static let limitRange = 1...10_000

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.optional(after)
        writer.count(max(0, limit))
        writer.flag(includesEmbeddings)
        writer.later { $0.optional(collectionID) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            after: try reader.optional("after"),
            limit: try reader.count("limit", in: Self.limitRange),
            includesEmbeddings: try reader.flag("includes embeddings"),
            collectionID: try reader.later(nil) { (reader) throws(WireDecodingError) in
                try reader.optional("collection")
            }
        )
    }
}

extension FacePage: WireMessage {
    package static var type: MessageType { .facePage }
    package var expectedByteCount: Int { faces.expectedByteCount }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(faces)
        writer.optional(next)
        writer.later { $0.flag(hasLoss) }
        writer.later { $0.optional(collectionID) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(faces: try reader.array("faces"), next: try reader.optional("next"))
        hasLoss = try reader.later(false) { (reader) throws(WireDecodingError) in try reader.flag("loss") }
        collectionID = try reader.later(collectionID) { (reader) throws(WireDecodingError) in
            try reader.optional("collection")
        }
    }
}
