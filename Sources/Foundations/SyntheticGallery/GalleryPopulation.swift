import Glibc

/// Who has how many images, and what each face of the gallery is: everything but the numbers of its row.
///
/// Faces of one identity are consecutive. Memory is four bytes per identity; all else is a function of the seed.
struct GalleryPopulation {
    /// Identities from here on are strangers, each the subject of one nonmated probe.
    static let firstStranger = 1 << 40
    private static let geometricParameter = 0.45
    private static let imageLimit = 20
    private static let copyAttempts = 16

    let faceCount: Int
    private let seed: UInt64
    private let irregularities: GalleryIrregularities
    /// Number of the first face of each identity.
    private let firstFaces: [UInt32]
    /// Inverse of the share of faces that are not the first of their identity.
    private let laterFaceFactor: Double

    /// Lays out identities until `faceCount` faces have one; the last may be cut short.
    init(parameters: GalleryParameters) {
        faceCount = parameters.faceCount
        seed = parameters.seed
        irregularities = parameters.irregularities
        var firstFaces: [UInt32] = []
        firstFaces.reserveCapacity(faceCount / 2)
        var next = 0
        while next < faceCount {
            firstFaces.append(UInt32(next))
            next += Self.imageCount(
                identity: firstFaces.count - 1,
                seed: seed,
                celebrityShare: irregularities.celebrityShare
            )
        }
        self.firstFaces = firstFaces
        let failure = 1 - Self.geometricParameter
        let ordinaryMean = (1 - pow(failure, Double(Self.imageLimit))) / Self.geometricParameter
        let celebrityMean = 900 / log(10.0)
        let share = irregularities.celebrityShare
        let mean = (1 - share) * ordinaryMean + share * celebrityMean
        laterFaceFactor = mean / (mean - 1)
    }

    var identityCount: Int { firstFaces.count }

    /// 1 + geometric(0.45), at most 20; celebrities 100 to 1000, evenly over the logarithm.
    private static func imageCount(identity: Int, seed: UInt64, celebrityShare: Double) -> Int {
        let draw = RandomStream(seed: seed, purpose: .imageCount, number: UInt64(identity)).uniforms(0)
        if draw[0] < celebrityShare { return Int(100 * pow(10, draw[1])) }
        return min(imageLimit, 1 + Int(log(1 - draw[1]) / log(1 - geometricParameter)))
    }

    /// The identity under which a face is enrolled.
    func identity(ofFace face: Int) -> Int {
        var (low, high) = (0, firstFaces.count)
        while high - low > 1 {
            let middle = (low + high) / 2
            if Int(firstFaces[middle]) <= face { low = middle } else { high = middle }
        }
        return low
    }

    func faces(ofIdentity identity: Int) -> Range<Int> {
        let end = identity + 1 < firstFaces.count ? Int(firstFaces[identity + 1]) : faceCount
        return Int(firstFaces[identity])..<end
    }

    /// What a face is; copies and shared images are always of an original, so that no chain arises.
    func kind(ofFace face: Int) -> FaceKind {
        let (drawn, selector) = draw(face)
        let identity = identity(ofFace: face)
        switch drawn {
        case .original:
            return .original
        case .garbage:
            return .garbage(hub: Int(selector * Double(SyntheticGallery.hubCount)))
        case .mislabelled:
            return identity > 0 ? .mislabelled(depicting: Int(selector * Double(identity))) : .original
        case .sharedImage:
            let first = faces(ofIdentity: identity).lowerBound
            return original(among: 0..<first, selector: selector).map { .sharedImage(of: $0) } ?? .original
        case .exactCopy:
            let first = faces(ofIdentity: identity).lowerBound
            return original(among: first..<face, selector: selector).map { .exactCopy(of: $0) } ?? .original
        case .nearCopy:
            let first = faces(ofIdentity: identity).lowerBound
            return original(among: first..<face, selector: selector).map { .nearCopy(of: $0) } ?? .original
        }
    }

    private enum DrawnKind {
        case original
        case exactCopy
        case nearCopy
        case sharedImage
        case mislabelled
        case garbage
    }

    /// The kind that chance gives a face before anything to copy has been looked for, and a uniform number beside it.
    private func draw(_ face: Int) -> (DrawnKind, Double) {
        let draw = RandomStream(seed: seed, purpose: .faceKind, number: UInt64(face)).uniforms(0)
        var position = draw[0]
        // The first face of an identity has nothing of its own to copy, so later ones copy the more often.
        for (kind, share) in [
            (DrawnKind.garbage, irregularities.garbageShare), (.sharedImage, irregularities.sharedImageShare),
            (.mislabelled, irregularities.mislabelShare),
            (.exactCopy, irregularities.exactCopyShare * laterFaceFactor),
            (.nearCopy, irregularities.nearCopyShare * laterFaceFactor),
        ] {
            if position < share { return (kind, draw[1]) }
            position -= share
        }
        return (.original, draw[1])
    }

    /// One of the faces that were drawn as originals, or `nil` if a few attempts from the selected place on find none.
    private func original(among faces: Range<Int>, selector: Double) -> Int? {
        guard !faces.isEmpty else { return nil }
        let start = Int(selector * Double(faces.count))
        for attempt in 0..<min(faces.count, Self.copyAttempts) {
            let face = faces.lowerBound + (start + attempt) % faces.count
            if case .original = draw(face).0 { return face }
        }
        return nil
    }
}
