package import FaceModel

/// A stored face: one sample of a person, with what is known of it.
public struct Face: Sendable {
    public var id: ID
    public var metadata: Metadata
    public var version: Version
    /// Components of unit length; present only when asked for.
    public var embedding: [Float]?

    /// The 128-bit identity of a face, written as a UUID.
    public struct ID: Hashable, Comparable, Sendable, LosslessStringConvertible {
        package let value: FaceID

        package init(_ value: FaceID) {
            self.value = value
        }

        public init(high: UInt64, low: UInt64) {
            self.init(FaceID(high: high, low: low))
        }

        /// Reads the canonical 8-4-4-4-12 hexadecimal form, in either case; nil for anything else.
        public init?(_ text: String) {
            guard let value = FaceID(text) else { return nil }
            self.init(value)
        }

        /// A random (version 4) identity.
        public static func random() -> ID { ID(.random()) }

        public static func < (left: ID, right: ID) -> Bool { left.value < right.value }
        public var description: String { value.description }
    }

    /// Order of the write that made a face's content; rises with every replacement.
    public struct Version: Hashable, Comparable, Sendable {
        public let epoch: UInt64
        public let sequence: UInt64

        public static func < (left: Version, right: Version) -> Bool {
            (left.epoch, left.sequence) < (right.epoch, right.sequence)
        }
    }

    init(_ face: StoredFace) {
        id = ID(face.id)
        metadata = Metadata(face.metadata)
        version = Version(epoch: face.version.epoch, sequence: face.version.sequence)
        embedding = face.embedding
    }
}

/// A face to be enrolled.
public struct NewFace: Hashable, Sendable {
    public var id: Face.ID
    public var metadata: Face.Metadata

    public init(id: Face.ID, metadata: Face.Metadata = Face.Metadata()) {
        self.id = id
        self.metadata = metadata
    }

    var row: EnrolRow { EnrolRow(id: id.value, metadata: metadata.model) }
}
