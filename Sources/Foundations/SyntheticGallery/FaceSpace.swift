import Glibc

/// Where people lie: the spectrum, the demographic tree and families, all in the spectral (unrotated) basis.
///
/// A direction is `u() = normalise(sqrt(D l) * gauss)`; a person is `sqrt(r1) region + sqrt(r2) subgroup +
/// sqrt(r3) pool + sqrt(1 - r1 - r2 - r3) u()`, normalised. With images of quality 0.78 ± 0.125 and participation ratio
/// 140 this gives similarities like those of an ArcFace-like model: false match rate 1e-6 at about 0.40.
struct FaceSpace {
    static let regionCount = 8
    static let subgroupCount = 8
    static let poolCount = 24
    /// How much closer the people of a region are to each other than average; gives the known spread of error rates.
    private static let regionMultipliers: [Double] = [0.6, 0.7, 0.8, 1, 1, 1.2, 1.6, 2.2]
    /// Shares of variance that region, sub-group and pool explain.
    private static let nodeShares: [Double] = [0.04, 0.05, 0.10]

    let dimension: Int
    private let seed: UInt64
    private let irregularities: GalleryIrregularities
    private let gaussians = GaussianTable()
    /// Standard deviation per component of a person, `sqrt(D l_k)`.
    private let personScales: [Float]
    /// Of image noise: the square root of it, half the exponent.
    private let noiseScales: [Float]
    private let cumulativeRegionWeights: [Double]
    /// `[8 + 64 + 1536 × dimension]`: regions, sub-groups, pools.
    private let anchors: [Float]

    init(parameters: GalleryParameters) {
        dimension = parameters.dimension
        seed = parameters.seed
        irregularities = parameters.irregularities
        let spectrum = Self.spectrum(dimension: dimension, participationRatio: parameters.effectiveDimension)
        personScales = spectrum.map { Float((Double(parameters.dimension) * $0).squareRoot()) }
        noiseScales = personScales.map { $0.squareRoot() }
        // Dirichlet(3): normalised sums of three exponentials.
        let weights = (0..<Self.regionCount).map { region in
            let stream = RandomStream(seed: parameters.seed, purpose: .region, number: UInt64(region))
            let (first, second) = (stream.uniforms(0), stream.uniforms(1))
            return -log((1 - first[0]) * (1 - first[1]) * (1 - second[0]))
        }
        var running = 0.0
        cumulativeRegionWeights = weights.map { weight in
            running += weight / weights.reduce(0, +)
            return running
        }
        let anchorCount = Self.regionCount * (1 + Self.subgroupCount * (1 + Self.poolCount))
        var anchors = [Float](repeating: 0, count: anchorCount * dimension)
        let (gaussians, scales, dimension) = (gaussians, personScales, dimension)
        unsafe anchors.withUnsafeMutableBufferPointer { anchors in
            for index in 0..<anchorCount {
                let row = unsafe anchors.baseAddress! + index * dimension
                let stream = RandomStream(seed: parameters.seed, purpose: .anchor, number: UInt64(index))
                unsafe gaussians.fill(row, scales: scales, stream: stream)
                unsafe SpectralArithmetic.normalise(row, dimension)
            }
        }
        self.anchors = anchors
    }

    /// `l_k = 1 / (k + k0)`, normalised, with `k0` solved for the participation ratio `1 / sum(l_k²)`.
    static func spectrum(dimension: Int, participationRatio: Double) -> [Double] {
        func spectrum(_ k0: Double) -> [Double] {
            let raw = (0..<dimension).map { 1 / (Double($0) + k0) }
            let total = raw.reduce(0, +)
            return raw.map { $0 / total }
        }
        // The ratio rises with k0 from 1 to the dimension.
        var (low, high) = (1e-6, 1e9)
        for _ in 0..<100 {
            let middle = (low * high).squareRoot()
            let ratio = 1 / spectrum(middle).reduce(0) { $0 + $1 * $1 }
            if ratio < participationRatio { low = middle } else { high = middle }
        }
        return spectrum(low)
    }

    /// A random direction of the person spectrum.
    func fillDirection(_ row: UnsafeMutablePointer<Float>, purpose: RandomPurpose, number: Int) {
        unsafe gaussians.fill(
            row,
            scales: personScales,
            stream: RandomStream(seed: seed, purpose: purpose, number: UInt64(number))
        )
        unsafe SpectralArithmetic.normalise(row, dimension)
    }

    /// A random direction of the flatter noise spectrum, orthogonal to a unit row.
    func fillNoise(
        _ row: UnsafeMutablePointer<Float>,
        orthogonalTo base: UnsafePointer<Float>,
        purpose: RandomPurpose,
        number: Int
    ) {
        unsafe gaussians.fill(
            row,
            scales: noiseScales,
            stream: RandomStream(seed: seed, purpose: purpose, number: UInt64(number))
        )
        unsafe SpectralArithmetic.makeOrthogonal(row, to: base, dimension)
    }

    /// Place and family of an identity; strangers have no family.
    func info(ofIdentity identity: Int) -> IdentityInfo {
        let (relation, family, _) = family(of: identity)
        let (region, subgroup, pool) = node(of: relation == .none ? identity : family.lowerBound)
        return IdentityInfo(region: region, subgroup: subgroup, pool: pool, relation: relation, family: family)
    }

    /// A person: the sum of its nodes' anchors and its own direction; relatives share most of it.
    func fillPerson(_ row: UnsafeMutablePointer<Float>, identity: Int) {
        let (relation, family, likeness) = family(of: identity)
        if relation == .none {
            unsafe fillDirection(row, purpose: .identityVector, number: identity)
            unsafe addAnchors(to: row, identity: identity)
            return
        }
        unsafe fillDirection(row, purpose: .familyVector, number: family.lowerBound)
        unsafe addAnchors(to: row, identity: family.lowerBound)
        let own = unsafe [Float](unsafeUninitializedCapacity: dimension) { buffer, count in
            unsafe fillDirection(buffer.baseAddress!, purpose: .identityVector, number: identity)
            count = dimension
        }
        unsafe SpectralArithmetic.scale(row, by: Float(likeness.squareRoot()), dimension)
        unsafe own.withUnsafeBufferPointer { own in
            unsafe SpectralArithmetic.add(
                own.baseAddress!,
                times: Float((1 - likeness).squareRoot()),
                to: row,
                dimension
            )
        }
        unsafe SpectralArithmetic.normalise(row, dimension)
    }

    private func node(of identity: Int) -> (region: Int, subgroup: Int, pool: Int) {
        let stream = RandomStream(seed: seed, purpose: .identityTraits, number: UInt64(identity))
        let (first, second) = (stream.uniforms(0), stream.uniforms(1))
        let region = cumulativeRegionWeights.firstIndex { first[0] < $0 } ?? Self.regionCount - 1
        return (region, Int(first[1] * Double(Self.subgroupCount)), Int(second[0] * Double(Self.poolCount)))
    }

    private func addAnchors(to row: UnsafeMutablePointer<Float>, identity: Int) {
        let (region, subgroup, pool) = node(of: identity)
        let shares = Self.nodeShares.map { min(0.3, $0 * Self.regionMultipliers[region]) }
        unsafe SpectralArithmetic.scale(row, by: Float((1 - shares.reduce(0, +)).squareRoot()), dimension)
        let subgroupIndex = region * Self.subgroupCount + subgroup
        let poolIndex = subgroupIndex * Self.poolCount + pool
        let subgroupBase = Self.regionCount
        let poolBase = subgroupBase + Self.regionCount * Self.subgroupCount
        unsafe anchors.withUnsafeBufferPointer { anchors in
            for (index, share) in zip([region, subgroupBase + subgroupIndex, poolBase + poolIndex], shares) {
                unsafe SpectralArithmetic.add(
                    anchors.baseAddress! + index * dimension,
                    times: Float(share.squareRoot()),
                    to: row,
                    dimension
                )
            }
        }
        unsafe SpectralArithmetic.normalise(row, dimension)
    }

    /// Families are the first members of a group of four consecutive identities.
    private func family(of identity: Int) -> (IdentityInfo.Relation, Range<Int>, likeness: Double) {
        let none = (IdentityInfo.Relation.none, identity..<(identity + 1), 0.0)
        guard identity < GalleryPopulation.firstStranger else { return none }
        let first = identity & ~3
        let stream = RandomStream(seed: seed, purpose: .familyTraits, number: UInt64(first))
        let (draw, sizeDraw) = (stream.uniforms(0), stream.uniforms(1))
        // A group is a family as often as makes the share of identities: siblings are 3 of 4 on average, twins 2 of 4.
        let siblings = irregularities.siblingShare * 4 / 3
        let identical = siblings + irregularities.identicalTwinShare * 2
        let fraternal = identical + irregularities.fraternalTwinShare * 2
        let (relation, size, lowest, highest): (IdentityInfo.Relation, Int, Double, Double)
        switch draw[0] {
        case ..<siblings: (relation, size, lowest, highest) = (.siblings, 2 + Int(3 * sizeDraw[0]), 0.25, 0.45)
        case ..<identical: (relation, size, lowest, highest) = (.identicalTwins, 2, 0.85, 0.97)
        case ..<fraternal: (relation, size, lowest, highest) = (.fraternalTwins, 2, 0.45, 0.65)
        default: return none
        }
        guard identity < first + size else { return none }
        return (relation, first..<(first + size), lowest + (highest - lowest) * draw[1])
    }
}
