package import FaceModel

/// What a line says about a face beside its embedding; every field is optional.
///
/// Nothing is judged here beyond form: lengths and ranges are the collection's to check (`FaceMetadata.problem`).
package struct FaceLineMetadata: Sendable, Equatable {
    package var id: FaceID?
    package var face: FaceMetadata
    /// The embedding model that the line claims.
    package var model: String?

    package init(id: FaceID? = nil, face: FaceMetadata = FaceMetadata(), model: String? = nil) {
        self.id = id
        self.face = face
        self.model = model
    }
}

/// One line of a JSON Lines file: a face with its embedding.
///
/// ```
/// {"id":"…","embedding":[0.1,…],"person":"…","external_id":"…","image_id":"…","bounding_box":[0.1,0.2,0.3,0.4],
///  "quality":90,"confidence":99.1,"created":"2026-01-31T12:00:00Z","expires":1769860800,"attributes":{"a":"b"},
///  "model":"…"}
/// ```
/// (in one line). Only `embedding` is required; `null` is as if absent; an id is a UUID or a whole number
/// (``FaceLabel``); times are seconds since 1970, of the years 0 to 9999, or text (``TimestampText``); an unknown or
/// repeated key is a fault of the line. `mien import --help` and the README say the same to users.
package struct FaceLine: Sendable, Equatable {
    package var embedding: [Float]
    package var metadata: FaceLineMetadata

    package init(embedding: [Float], metadata: FaceLineMetadata = FaceLineMetadata()) {
        self.embedding = embedding
        self.metadata = metadata
    }

    /// Reads one line.
    ///
    /// - Throws: a fault whose reason names the key, never a value.
    static func parse(_ line: [UInt8]) throws(JSONFault) -> FaceLine {
        var scanner = JSONScanner(line)
        var face = FaceLine(embedding: [])
        var seen: Set<String> = []
        var hasMembers = try scanner.beginObject()
        while hasMembers {
            let key = try scanner.key()
            guard seen.insert(key).inserted else { throw JSONFault("key \"\(key.prefix(40))\" appears twice") }
            try face.read(key, from: &scanner)
            hasMembers = try scanner.continueObject()
        }
        try scanner.end()
        guard !face.embedding.isEmpty else { throw JSONFault("\"embedding\" is missing or empty") }
        return face
    }

    private mutating func read(_ key: String, from scanner: inout JSONScanner) throws(JSONFault) {
        switch key {
        case "embedding", "id", "person", "external_id", "image_id", "bounding_box", "quality", "confidence", "created",
            "expires", "attributes", "model":
            break
        default:
            throw JSONFault("key \"\(key.prefix(40))\" is unknown")
        }
        if scanner.takeNull() { return }
        do throws(JSONFault) {
            switch key {
            case "embedding": embedding = try scanner.floats(limit: embeddingFileDimensionLimit)
            case "id":
                guard let id = FaceLabel.id(try scanner.stringOrNumberText()) else {
                    throw JSONFault("is neither a UUID nor a whole number")
                }
                metadata.id = id
            case "person": metadata.face.personID = try scanner.string()
            case "external_id": metadata.face.externalImageID = try scanner.string()
            case "image_id": metadata.face.imageID = try scanner.string()
            case "bounding_box":
                let sides = try scanner.floats(limit: 4)
                guard sides.count == 4 else { throw JSONFault("needs 4 numbers (left, top, width, height)") }
                metadata.face.boundingBox = BoundingBox(
                    left: sides[0],
                    top: sides[1],
                    width: sides[2],
                    height: sides[3]
                )
            case "quality": metadata.face.quality = Float(try scanner.number())
            case "confidence": metadata.face.confidence = Float(try scanner.number())
            case "created": metadata.face.created = Timestamp(milliseconds: try scanner.milliseconds())
            case "expires": metadata.face.expires = Timestamp(milliseconds: try scanner.milliseconds())
            case "attributes": metadata.face.attributes = try scanner.strings()
            default: metadata.model = try scanner.string()
            }
        } catch {
            throw JSONFault("\"\(key)\" \(error.reason)")
        }
    }
}
