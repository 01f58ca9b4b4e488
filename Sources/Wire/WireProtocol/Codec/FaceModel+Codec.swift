package import FaceModel

extension FaceID: WireValue {
    package static var leastByteCount: Int { 16 }
    package func encode(into writer: inout PayloadWriter) { writer.identity(high: high, low: low) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let value = try reader.identity("face id")
        self.init(high: value.high, low: value.low)
    }
}

extension CollectionID: WireValue {
    package static var leastByteCount: Int { 16 }
    package func encode(into writer: inout PayloadWriter) { writer.identity(high: high, low: low) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let value = try reader.identity("collection id")
        self.init(high: value.high, low: value.low)
    }
}

extension IdempotencyKey: WireValue {
    package static var leastByteCount: Int { 16 }
    package func encode(into writer: inout PayloadWriter) { writer.identity(high: high, low: low) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let value = try reader.identity("idempotency key")
        self.init(high: value.high, low: value.low)
    }
}

extension Timestamp: WireValue {
    package static var leastByteCount: Int { 8 }
    package func encode(into writer: inout PayloadWriter) { writer.integer(milliseconds) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(milliseconds: try reader.integer("timestamp"))
    }
}

extension BoundingBox: WireValue {
    package static var leastByteCount: Int { 16 }
    package func encode(into writer: inout PayloadWriter) {
        for side in [left, top, width, height] { writer.float(side) }
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            left: try reader.float("bounding box left"),
            top: try reader.float("bounding box top"),
            width: try reader.float("bounding box width"),
            height: try reader.float("bounding box height")
        )
    }
}

/// The rules of ``FaceMetadata/problem`` are not applied here, so that a bad row can be refused by itself; the wider
/// bounds of the wire are, and break the whole message.
extension FaceMetadata: WireValue {
    package static let wireFieldByteLimit = 4096
    package static let wireAttributeCountLimit = 256

    package static var leastByteCount: Int { 12 }
    /// Of the fields behind the person id, when none of them is there: most faces of an answer are such.
    private static let absentByteCount = 11

    private var hasPersonAtMost: Bool {
        externalImageID == nil && imageID == nil && boundingBox == nil && quality == nil && confidence == nil
            && created == nil && expires == nil && attributes.isEmpty
    }

    package func encode(into writer: inout PayloadWriter) {
        writer.optional(personID) { $0.string($1, "person id") }
        if hasPersonAtMost { return writer.zeros(Self.absentByteCount) }
        writer.optional(externalImageID) { $0.string($1, "external image id") }
        writer.optional(imageID) { $0.string($1, "image id") }
        writer.optional(boundingBox)
        writer.optional(quality) { $0.float($1) }
        writer.optional(confidence) { $0.float($1) }
        writer.optional(created)
        writer.optional(expires)
        writer.count(attributes.count)
        for (key, value) in attributes.sorted(by: { $0.key < $1.key }) {
            writer.string(key, "attribute key")
            writer.string(value, "attribute value")
        }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let personID = try Self.name(&reader, "person id")
        if reader.skipZeros(byteCount: Self.absentByteCount) {
            self.init(personID: personID)
            return
        }
        self.init(
            personID: personID,
            externalImageID: try Self.name(&reader, "external image id"),
            imageID: try Self.name(&reader, "image id"),
            boundingBox: try reader.optional("bounding box"),
            quality: try reader.flag("quality") ? try reader.float("quality") : nil,
            confidence: try reader.flag("confidence") ? try reader.float("confidence") : nil,
            created: try reader.optional("created"),
            expires: try reader.optional("expires")
        )
        let count = try reader.elementCount("attributes", leastByteCount: 4, limit: Self.wireAttributeCountLimit)
        for _ in 0..<count {
            let key = try reader.string("attribute key", limit: Self.wireFieldByteLimit)
            let value = try reader.string("attribute value", limit: Self.wireFieldByteLimit)
            if attributes.updateValue(value, forKey: key) != nil { repeatsAttributeKey = true }
        }
    }

    private static func name(_ reader: inout PayloadReader, _ field: String) throws(WireDecodingError) -> String? {
        try reader.flag(field) ? try reader.string(field, limit: wireFieldByteLimit) : nil
    }
}

extension EnrolRow: WireValue {
    package static var leastByteCount: Int { FaceID.leastByteCount + FaceMetadata.leastByteCount }
    package func encode(into writer: inout PayloadWriter) {
        id.encode(into: &writer)
        metadata.encode(into: &writer)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(id: try FaceID(decoding: &reader), metadata: try FaceMetadata(decoding: &reader))
    }
}

extension EnrolOutcome: WireValue {
    package static var leastByteCount: Int { 2 }
    package func encode(into writer: inout PayloadWriter) {
        let (kind, rejection): (UInt8, UInt8) =
            switch self {
            case .accepted: (1, 0)
            case .replaced: (2, 0)
            case .superseded: (3, 0)
            case .rejected(let reason): (4, reason.rawValue)
            }
        writer.integer(kind)
        writer.integer(rejection)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let kind: UInt8 = try reader.integer("outcome")
        switch kind {
        case 1: self = .accepted
        case 2: self = .replaced
        case 3: self = .superseded
        case 4:
            self = .rejected(try reader.enumeration("rejection"))
            return
        default: throw .unknownValue(field: "outcome", value: UInt64(kind))
        }
        try reader.zero(byteCount: 1)
    }
}

extension DeleteOutcome: WireValue {
    package static var leastByteCount: Int { 1 }
    package func encode(into writer: inout PayloadWriter) { writer.integer(rawValue) }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self = try reader.enumeration("outcome")
    }
}

extension StoredFace: WireValue {
    package static var leastByteCount: Int { FaceID.leastByteCount + FaceMetadata.leastByteCount + 17 }
    package func encode(into writer: inout PayloadWriter) {
        id.encode(into: &writer)
        metadata.encode(into: &writer)
        writer.integer(version.epoch)
        writer.integer(version.sequence)
        writer.optional(embedding) { writer, values in
            writer.count(values.count)
            writer.floats(values)
        }
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            id: try FaceID(decoding: &reader),
            metadata: try FaceMetadata(decoding: &reader),
            version: FaceVersion(epoch: try reader.integer("epoch"), sequence: try reader.integer("sequence"))
        )
        if try reader.flag("embedding") {
            let dimension = try reader.count("dimension", in: PayloadReader.dimensionRange)
            embedding = try reader.floats("embedding", count: dimension)
        }
    }
}

extension Match: WireValue {
    package static var leastByteCount: Int { FaceID.leastByteCount + 4 + FaceMetadata.leastByteCount }
    package func encode(into writer: inout PayloadWriter) {
        faceID.encode(into: &writer)
        writer.float(similarity)
        metadata.encode(into: &writer)
    }
    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            faceID: try FaceID(decoding: &reader),
            similarity: try reader.float("similarity"),
            metadata: try FaceMetadata(decoding: &reader)
        )
    }
}

extension RecallEvidence {
    fileprivate init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let probeCount: UInt64 = try reader.integer("checked probes")
        guard probeCount <= Self.probeLimit else {
            throw .invalid(field: "checked probes", rule: "there must be at most \(Self.probeLimit)")
        }
        let range = 0...Double(probeCount)
        self.init(
            probeCount: probeCount,
            missedCount: try reader.double("missed mates", in: range),
            expectedCount: try reader.double("expected misses", in: range)
        )
    }
}

extension CodebookFit {
    func encode(into writer: inout PayloadWriter) {
        writer.integer(recentRowCount)
        writer.float(energyRatio)
        writer.float(imbalanceRatio)
        writer.integer(recall.probeCount)
        writer.double(recall.missedCount)
        writer.double(recall.expectedCount)
    }

    init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        self.init(
            recentRowCount: try reader.integer("recent rows"),
            energyRatio: try reader.float("energy ratio"),
            imbalanceRatio: try reader.float("imbalance ratio"),
            recall: try RecallEvidence(decoding: &reader)
        )
    }
}
