/// Kinds of images: how far they stray from their person.
package enum GalleryProfile: String, Sendable, CaseIterable {
    /// Photographs of every sort (genuine similarity about 0.61).
    case wild
    /// Cooperative portraits (0.757).
    case mugshot
    /// Mugshots enrolled, camera images as probes (0.479).
    case surveillance

    var gallery: QualityDistribution {
        switch self {
        case .wild: QualityDistribution(mean: 0.78, standardDeviation: 0.125)
        case .mugshot, .surveillance: QualityDistribution(mean: 0.87, standardDeviation: 0.05)
        }
    }

    var probe: QualityDistribution {
        switch self {
        case .wild, .mugshot: gallery
        case .surveillance: QualityDistribution(mean: 0.55, standardDeviation: 0.14)
        }
    }
}

/// What a gallery has beside independent people and their images, as shares; ``none`` leaves the pure distribution.
package struct GalleryIrregularities: Sendable, Equatable {
    /// Of identities: in families of 2 to 4 siblings.
    package var siblingShare = 0.02
    /// Of identities: in pairs of identical twins.
    package var identicalTwinShare = 0.004
    /// Of identities: in pairs of fraternal twins.
    package var fraternalTwinShare = 0.004
    /// Of identities: with 100 to 1000 images (evenly over the logarithm) instead of 1 to 20.
    package var celebrityShare = 0.001
    /// Years over which a person's images are spread; the person turns 1 to 1.5 degrees in each.
    package var ageingYears = 10.0
    /// Of faces: the same row as an earlier face of the person, but for the last bits of some components where the BLAS
    /// of a machine rounds a row by its place in a block.
    package var exactCopyShare = 0.01
    /// Of faces: cosine 0.97 to 0.999 to an earlier face of the person.
    package var nearCopyShare = 0.01
    /// Of faces: the row of an earlier face, under another person.
    package var sharedImageShare = 0.005
    /// Of faces: an image of an earlier person under this person's name.
    package var mislabelShare = 0.005
    /// Of faces: garbage near one of eight fixed directions, of low quality.
    package var garbageShare = 0.02

    package init() {}

    package static let none: GalleryIrregularities = {
        var irregularities = GalleryIrregularities()
        for share in shares { irregularities[keyPath: share.path] = 0 }
        irregularities.ageingYears = 0
        return irregularities
    }()

    static var shares: [(name: String, path: WritableKeyPath<GalleryIrregularities, Double>)] {
        [
            ("siblingShare", \.siblingShare), ("identicalTwinShare", \.identicalTwinShare),
            ("fraternalTwinShare", \.fraternalTwinShare), ("celebrityShare", \.celebrityShare),
            ("exactCopyShare", \.exactCopyShare), ("nearCopyShare", \.nearCopyShare),
            ("sharedImageShare", \.sharedImageShare), ("mislabelShare", \.mislabelShare),
            ("garbageShare", \.garbageShare),
        ]
    }
}

/// Everything that a synthetic gallery follows from; equal parameters give equal galleries.
///
/// A gallery of more faces begins with the faces of a smaller one of otherwise equal parameters.
package struct GalleryParameters: Sendable, Equatable {
    /// 1 to 2^32 − 1.
    package var faceCount: Int
    /// 64 to 2048, a multiple of 8.
    package var dimension: Int
    /// Participation ratio of the spectrum: 2 to 0.9 times the dimension.
    package var effectiveDimension: Double
    package var profile: GalleryProfile
    package var seed: UInt64
    /// Length of the vector common to all rows, relative to their own: 0 to 1.
    package var meanNorm: Double
    /// Share of probes whose person is enrolled: 0 to 1.
    package var matedShare = 0.9
    package var irregularities = GalleryIrregularities()

    /// - Parameters:
    ///   - effectiveDimension: by default 140 at dimension 512 and above, in proportion below.
    ///   - meanNorm: by default 0.35 up to effective dimension 25 (as dlib's embeddings have), else 0.
    package init(
        faceCount: Int,
        dimension: Int = 512,
        effectiveDimension: Double? = nil,
        profile: GalleryProfile = .wild,
        seed: UInt64 = 1,
        meanNorm: Double? = nil
    ) {
        self.faceCount = faceCount
        self.dimension = dimension
        let effective = effectiveDimension ?? 140 * min(1, Double(dimension) / 512)
        self.effectiveDimension = effective
        self.profile = profile
        self.seed = seed
        self.meanNorm = meanNorm ?? (effective <= 25 ? 0.35 : 0)
    }

    /// Variance of each component of a person before rotation, largest first, with sum 1.
    package var spectrum: [Double] {
        FaceSpace.spectrum(dimension: dimension, participationRatio: effectiveDimension)
    }

    func validate() throws(GalleryError) {
        guard (1...Int(UInt32.max)).contains(faceCount) else {
            throw .outOfRange(parameter: "face count", value: "\(faceCount)", allowed: "1 to \(UInt32.max)")
        }
        guard (64...2048).contains(dimension), dimension.isMultiple(of: 8) else {
            throw .outOfRange(parameter: "dimension", value: "\(dimension)", allowed: "multiples of 8 from 64 to 2048")
        }
        let largest = 0.9 * Double(dimension)
        guard effectiveDimension >= 2, effectiveDimension <= largest else {
            throw .outOfRange(
                parameter: "effective dimension",
                value: "\(effectiveDimension)",
                allowed: "2 to \(largest) at dimension \(dimension)"
            )
        }
        for (name, value) in [("mean norm", meanNorm), ("mated share", matedShare)] where !(0...1).contains(value) {
            throw .outOfRange(parameter: name, value: "\(value)", allowed: "0 to 1")
        }
        for share in GalleryIrregularities.shares {
            let value = irregularities[keyPath: share.path]
            guard (0...0.2).contains(value) else {
                throw .outOfRange(parameter: share.name, value: "\(value)", allowed: "0 to 0.2")
            }
        }
        guard (0...100).contains(irregularities.ageingYears) else {
            throw .outOfRange(parameter: "ageingYears", value: "\(irregularities.ageingYears)", allowed: "0 to 100")
        }
    }
}
