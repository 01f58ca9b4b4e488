import FaceModel

/// Writes faces as JSON Lines that ``JSONLinesReader`` gives back unchanged, numbers included.
package struct JSONLinesWriter {
    package private(set) var rowCount = 0
    private let file: OutputFile

    /// Creates the file, replacing one of the same name.
    ///
    /// - Parameter isPrivate: whether nobody but the file's owner may read it.
    package init(path: String, isPrivate: Bool = false) throws(EmbeddingFileError) {
        file = try OutputFile(path: path, isPrivate: isPrivate)
    }

    /// - Parameter face: an embedding of finite numbers.
    package mutating func append(_ face: FaceLine) throws(EmbeddingFileError) {
        precondition(face.embedding.allSatisfy(\.isFinite), "JSON has no number for NaN and infinity")
        let metadata = face.metadata.face
        var members: [String] = []
        func add(_ key: String, _ text: String?) {
            if let text { members.append("\"\(key)\":\(JSONText.quoted(text))") }
        }
        add("id", face.metadata.id?.description)
        add("person", metadata.personID)
        add("external_id", metadata.externalImageID)
        add("image_id", metadata.imageID)
        if let box = metadata.boundingBox {
            members.append("\"bounding_box\":[\(box.left),\(box.top),\(box.width),\(box.height)]")
        }
        if let quality = metadata.quality { members.append("\"quality\":\(quality)") }
        if let confidence = metadata.confidence { members.append("\"confidence\":\(confidence)") }
        add("created", metadata.created.map { TimestampText.format(milliseconds: $0.milliseconds) })
        add("expires", metadata.expires.map { TimestampText.format(milliseconds: $0.milliseconds) })
        if !metadata.attributes.isEmpty {
            let attributes = metadata.attributes.sorted { $0.key < $1.key }
                .map { "\(JSONText.quoted($0.key)):\(JSONText.quoted($0.value))" }
            members.append("\"attributes\":{\(attributes.joined(separator: ","))}")
        }
        add("model", face.metadata.model)
        members.append("\"embedding\":[\(face.embedding.map(\.description).joined(separator: ","))]")
        try file.append("{\(members.joined(separator: ","))}\n")
        rowCount += 1
    }

    /// Makes the file durable; no other call may follow.
    package mutating func finish() throws(EmbeddingFileError) {
        try file.finish()
    }
}

/// Text as JSON strings.
package enum JSONText {
    /// The text in quotes, with what must be escaped escaped.
    package static func quoted(_ text: String) -> String {
        var result = "\""
        for scalar in text.unicodeScalars {
            switch scalar {
            case "\"": result += "\\\""
            case "\\": result += "\\\\"
            case "\n": result += "\\n"
            case "\r": result += "\\r"
            case "\t": result += "\\t"
            case "\u{0}"..<"\u{20}":
                let digits = String(scalar.value, radix: 16)
                result += "\\u" + String(repeating: "0", count: 4 - digits.count) + digits
            default: result.unicodeScalars.append(scalar)
            }
        }
        return result + "\""
    }
}
