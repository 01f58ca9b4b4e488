import FaceModel

extension PayloadReader {
    /// 1 or more probes, as many as are granted.
    mutating func probes() throws(WireDecodingError) -> EmbeddingMatrix {
        let probes = try matrix("probes", rowLimit: Int(limits.probeCount))
        if probes.rowCount == 0 { throw .invalid(field: "probes", rule: "there must be at least one") }
        return probes
    }
}

extension SearchFaces: WireRequest {
    package typealias Reply = SearchAnswer
    package static var type: MessageType { .searchFaces }
    package var expectedByteCount: Int { 512 + probes.values.count * 4 + (token?.sequences.count ?? 0) * 12 }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        writer.string(embeddingModel, "embedding model")
        parameters.encode(into: &writer)
        coverage.encode(into: &writer)
        writer.optional(token)
        writer.matrix(probes)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            embeddingModel: try reader.string("embedding model", limit: NameLimit.embeddingModel),
            parameters: try SearchParameters(decoding: &reader),
            coverage: try CoverageRequirement(decoding: &reader),
            token: try reader.optional("token"),
            probes: try reader.probes()
        )
    }
}

extension SearchByFace: WireRequest {
    package typealias Reply = SearchAnswer
    package static var type: MessageType { .searchByFace }

    package func encode(into writer: inout PayloadWriter) {
        writer.string(collection, "collection name")
        faceID.encode(into: &writer)
        parameters.encode(into: &writer)
        coverage.encode(into: &writer)
        writer.optional(token)
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            collection: try reader.string("collection name", limit: NameLimit.collection),
            faceID: try FaceID(decoding: &reader),
            parameters: try SearchParameters(decoding: &reader),
            coverage: try CoverageRequirement(decoding: &reader),
            token: try reader.optional("token")
        )
    }
}

extension SearchAnswer: WireMessage {
    package static var type: MessageType { .searchAnswer }
    package var expectedByteCount: Int {
        outcomes.reduce(256) { sum, outcome in
            if case .matches(let matches) = outcome { sum + 5 + matches.count * 96 } else { sum + 2 }
        }
    }

    package func encode(into writer: inout PayloadWriter) {
        writer.array(outcomes)
        coverage.encode(into: &writer)
        writer.integer(elapsedMicroseconds)
        writer.later { $0.flag(coverage.hasLoss) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            outcomes: try reader.array("outcomes"),
            coverage: try Coverage(decoding: &reader),
            elapsedMicroseconds: try reader.integer("elapsed")
        )
        coverage.hasLoss = try reader.later(false) { (reader) throws(WireDecodingError) in try reader.flag("loss") }
    }
}
