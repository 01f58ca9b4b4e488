package import FaceModel

extension Face {
    /// Everything known of a face besides its embedding. Every field is optional.
    public struct Metadata: Hashable, Sendable {
        /// The identity the face is associated with: 1–255 bytes.
        public var personID: String?
        /// The client's own name of the image: 1–255 bytes.
        public var externalImageID: String?
        /// The image the face was found in: 1–255 bytes.
        public var imageID: String?
        public var boundingBox: BoundingBox?
        /// Quality of the sample as its detector states it, 0–100.
        public var quality: Float?
        /// Confidence that it is a face, 0–100.
        public var confidence: Float?
        public var created: Timestamp?
        /// From this moment the face is not found any more, and is removed soon after.
        public var expires: Timestamp?
        /// Up to 32 pairs; keys of 1–64 bytes, values of 0–255 bytes.
        public var attributes: [String: String]

        public init(
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

        /// The first rule the metadata breaks, as one sentence without its content; nil when it is valid.
        public var problem: String? { model.problem }
    }

    /// Where a face lies in its image, as shares of the image's width and height.
    public struct BoundingBox: Hashable, Sendable {
        public var left: Float
        public var top: Float
        public var width: Float
        public var height: Float

        public init(left: Float, top: Float, width: Float, height: Float) {
            self.left = left
            self.top = top
            self.width = width
            self.height = height
        }
    }

    /// A point in time.
    public struct Timestamp: Hashable, Comparable, Sendable {
        public let millisecondsSince1970: Int64

        public init(millisecondsSince1970: Int64) {
            self.millisecondsSince1970 = millisecondsSince1970
        }

        public static func < (left: Timestamp, right: Timestamp) -> Bool {
            left.millisecondsSince1970 < right.millisecondsSince1970
        }
    }
}

extension Face.Metadata {
    package init(_ metadata: FaceMetadata) {
        self.init(
            personID: metadata.personID,
            externalImageID: metadata.externalImageID,
            imageID: metadata.imageID,
            boundingBox: metadata.boundingBox.map {
                Face.BoundingBox(left: $0.left, top: $0.top, width: $0.width, height: $0.height)
            },
            quality: metadata.quality,
            confidence: metadata.confidence,
            created: metadata.created.map { Face.Timestamp(millisecondsSince1970: $0.milliseconds) },
            expires: metadata.expires.map { Face.Timestamp(millisecondsSince1970: $0.milliseconds) },
            attributes: metadata.attributes
        )
    }

    package var model: FaceMetadata {
        FaceMetadata(
            personID: personID,
            externalImageID: externalImageID,
            imageID: imageID,
            boundingBox: boundingBox.map {
                BoundingBox(left: $0.left, top: $0.top, width: $0.width, height: $0.height)
            },
            quality: quality,
            confidence: confidence,
            created: created.map { Timestamp(milliseconds: $0.millisecondsSince1970) },
            expires: expires.map { Timestamp(milliseconds: $0.millisecondsSince1970) },
            attributes: attributes
        )
    }
}
