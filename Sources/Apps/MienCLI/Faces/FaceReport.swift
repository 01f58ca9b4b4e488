import MienClient

/// A face as text and as JSON, never with its embedding.
enum FaceReport {
    /// What faces read from a collection lack of which faces were given up, as a clause.
    static func loss(of collection: String) -> String {
        "faces of \(collection) were given up with every copy of them and are not among these; "
            + "'mien collection losses \(collection)' tells when"
    }

    static func json(_ face: Face) -> JSONValue {
        .object(
            [("id", .string(face.id.description))] + members(face.metadata) + [
                (
                    "version",
                    .object([("epoch", .count(face.version.epoch)), ("sequence", .count(face.version.sequence))])
                )
            ]
        )
    }

    /// The fields that are there, named as in the JSON Lines that `mien import` reads.
    static func members(_ metadata: Face.Metadata) -> [(String, JSONValue)] {
        var members: [(String, JSONValue)] = []
        func add(_ key: String, _ value: JSONValue?) {
            if let value { members.append((key, value)) }
        }
        add("person", metadata.personID.map { .string($0) })
        add("external_id", metadata.externalImageID.map { .string($0) })
        add("image_id", metadata.imageID.map { .string($0) })
        add(
            "bounding_box",
            metadata.boundingBox.map { .array([$0.left, $0.top, $0.width, $0.height].map { .number($0) }) }
        )
        add("quality", metadata.quality.map { .number($0) })
        add("confidence", metadata.confidence.map { .number($0) })
        add("created", metadata.created.map { .string(TimeText.text($0)) })
        add("expires", metadata.expires.map { .string(TimeText.text($0)) })
        if !metadata.attributes.isEmpty {
            add(
                "attributes",
                .object(metadata.attributes.sorted { $0.key < $1.key }.map { ($0.key, .string($0.value)) })
            )
        }
        return members
    }

    static func table(_ faces: some Sequence<Face>, withTitles: Bool) -> String {
        var table = TextTable([
            .init("face", leastWidth: 36), .init("person", widthLimit: 28, leastWidth: 28),
            .init("external id", widthLimit: 28),
        ])
        for face in faces {
            table.append([face.id.description, face.metadata.personID ?? "", face.metadata.externalImageID ?? ""])
        }
        return table.rendered(withTitles: withTitles)
    }

    static func text(_ face: Face) -> String {
        var table = TextTable([.init("", leastWidth: 12), .init("", widthLimit: 86)])
        table.append(["face", face.id.description])
        for (name, value) in members(face.metadata) {
            switch value {
            case .string(let text): table.append([name, text])
            case .object(let pairs):
                for (key, value) in pairs {
                    if case .string(let text) = value { table.append([name, "\(key) = \(text)"]) }
                }
            default: table.append([name, value.line])
            }
        }
        table.append(["version", "epoch \(face.version.epoch), sequence \(face.version.sequence)"])
        return table.rendered(withTitles: false)
    }
}
