/// Where the face lies in its image, as shares of the image's width and height.
package struct BoundingBox: Hashable, Sendable {
    package var left: Float
    package var top: Float
    package var width: Float
    package var height: Float

    package init(left: Float, top: Float, width: Float, height: Float) {
        self.left = left
        self.top = top
        self.width = width
        self.height = height
    }
}

/// Everything known of a face besides its embedding. Every field is optional.
package struct FaceMetadata: Hashable, Sendable {
    /// The identity the face is associated with: 1–255 bytes.
    package var personID: String?
    /// The client's own name of the image: 1–255 bytes.
    package var externalImageID: String?
    /// The image the face was found in: 1–255 bytes.
    package var imageID: String?
    package var boundingBox: BoundingBox?
    /// Quality of the sample as its detector states it, 0–100.
    package var quality: Float?
    /// Confidence that it is a face, 0–100.
    package var confidence: Float?
    package var created: Timestamp?
    /// From this moment the face is not found any more, and is removed soon after.
    package var expires: Timestamp?
    /// Up to 32 pairs; keys of 1–64 bytes, values of 0–255 bytes. Keys are equal as Unicode has it, however their
    /// letters are composed.
    package var attributes: [String: String]
    /// Whether a sender gave one key more than once: ``attributes`` has only one of its values.
    package var repeatsAttributeKey = false

    package init(
        personID: String? = nil,
        externalImageID: String? = nil,
        imageID: String? = nil,
        boundingBox: BoundingBox? = nil,
        quality: Float? = nil,
        confidence: Float? = nil,
        created: Timestamp? = nil,
        expires: Timestamp? = nil,
        attributes: [String: String] = [:]
    ) {
        self.personID = personID
        self.externalImageID = externalImageID
        self.imageID = imageID
        self.boundingBox = boundingBox
        self.quality = quality
        self.confidence = confidence
        self.created = created
        self.expires = expires
        self.attributes = attributes
    }

    package static let nameByteLimit = 255
    package static let attributeCountLimit = 32
    package static let attributeKeyByteLimit = 64
    package static let attributeValueByteLimit = 255

    /// The first rule the metadata breaks, as one sentence without its content; nil when it is valid.
    package var problem: String? {
        for (field, value) in [("person id", personID), ("external image id", externalImageID), ("image id", imageID)] {
            guard let value else { continue }
            if !(1...Self.nameByteLimit).contains(value.utf8.count) {
                return "\(field) must be 1–255 bytes, not \(value.utf8.count)"
            }
            if value.unicodeScalars.contains(where: { $0.value < 0x20 || $0.value == 0x7f }) {
                return "\(field) must not contain control characters"
            }
        }
        if let box = boundingBox, ![box.left, box.top, box.width, box.height].allSatisfy(\.isFinite) {
            return "bounding box must be four finite numbers"
        }
        for (field, value) in [("quality", quality), ("confidence", confidence)] {
            if let value, !(0...100).contains(value) { return "\(field) must be from 0 to 100" }
        }
        if repeatsAttributeKey { return "attribute keys must differ, however their letters are composed" }
        if attributes.count > Self.attributeCountLimit { return "at most 32 attributes, not \(attributes.count)" }
        for (key, value) in attributes {
            if !(1...Self.attributeKeyByteLimit).contains(key.utf8.count) { return "attribute keys must be 1–64 bytes" }
            if value.utf8.count > Self.attributeValueByteLimit { return "attribute values must be 0–255 bytes" }
        }
        return nil
    }
}

/// A stored face as it is read back.
package struct StoredFace: Sendable {
    package var id: FaceID
    package var metadata: FaceMetadata
    /// Order of the write within its shard that made this content; rises with every replacement.
    package var version: FaceVersion
    /// `dimension` components of unit length, present only when asked for.
    package var embedding: [Float]?

    package init(id: FaceID, metadata: FaceMetadata, version: FaceVersion, embedding: [Float]? = nil) {
        self.id = id
        self.metadata = metadata
        self.version = version
        self.embedding = embedding
    }
}

/// Which write made a face's content: (epoch, sequence) of its shard, never a wall clock.
package struct FaceVersion: Hashable, Comparable, Sendable {
    package var epoch: UInt64
    package var sequence: UInt64

    package init(epoch: UInt64, sequence: UInt64) {
        self.epoch = epoch
        self.sequence = sequence
    }

    package static func < (left: FaceVersion, right: FaceVersion) -> Bool {
        (left.epoch, left.sequence) < (right.epoch, right.sequence)
    }
}
