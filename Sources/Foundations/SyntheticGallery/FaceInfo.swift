/// What a face of the gallery is beside an image of its person.
package enum FaceKind: Sendable, Equatable {
    case original
    /// The same row as an earlier face of the person.
    case exactCopy(of: Int)
    /// Cosine 0.97 to 0.999 to an earlier face of the person.
    case nearCopy(of: Int)
    /// The row of an earlier face of another person.
    case sharedImage(of: Int)
    /// An image of its own, of an earlier person.
    case mislabelled(depicting: Int)
    /// No face at all: near one of the gallery's eight hubs.
    case garbage(hub: Int)

    /// Whether the row shows the person under whose name it is enrolled.
    package var showsItsPerson: Bool {
        switch self {
        case .original, .exactCopy, .nearCopy: true
        case .sharedImage, .mislabelled, .garbage: false
        }
    }

    /// The kind without its source, as counted in `gallery.json`.
    package var name: String {
        switch self {
        case .original: "original"
        case .exactCopy: "exact_copy"
        case .nearCopy: "near_copy"
        case .sharedImage: "shared_image"
        case .mislabelled: "mislabelled"
        case .garbage: "garbage"
        }
    }

    /// Every ``name``.
    package static let names = ["original", "exact_copy", "near_copy", "shared_image", "mislabelled", "garbage"]
}

/// The facts behind one row of the gallery.
package struct FaceInfo: Sendable, Equatable {
    /// The identity under which the face is enrolled, from zero.
    package var identity: Int
    /// Which of the identity's faces it is, from zero.
    package var image: Int
    /// Cosine to the depicted person before noise (0.25 to 0.98); below 0.25 for garbage.
    package var quality: Double
    package var kind: FaceKind
}

/// The facts behind one probe.
package struct ProbeInfo: Sendable, Equatable {
    /// The enrolled identity it shows; `nil` for a stranger.
    package var identity: Int?
    /// The faces that show this person under its name, ascending; never empty for a mated probe, empty for a stranger.
    package var mates: [Int]
    package var quality: Double
}

/// How an identity relates to others.
package struct IdentityInfo: Sendable, Equatable {
    package enum Relation: String, Sendable {
        case none
        case siblings
        case identicalTwins
        case fraternalTwins
    }

    /// Node of the demographic tree: 8 regions, 8 sub-groups each, 24 look-alike pools each.
    package var region: Int
    package var subgroup: Int
    package var pool: Int
    package var relation: Relation
    /// The identities of the family with it, or none. Some may lie beyond the end of the gallery.
    package var family: Range<Int>
}
