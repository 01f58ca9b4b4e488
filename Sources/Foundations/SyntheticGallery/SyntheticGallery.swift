package import FaceModel
import Glibc
import VectorMath

/// A gallery of synthetic faces whose similarities are distributed as those of a real embedding model.
///
/// Every row is a function of the parameters and its number, bit for bit on one machine, whichever rows are asked for
/// with it. Rows may be made from several threads at once. Memory: four bytes per identity, two matrices of the
/// dimension.
package struct SyntheticGallery: Sendable {
    /// Fixed directions near which garbage lies: dark, blurred, masked faces and the like.
    package static let hubCount = 8
    /// Probes have numbers below this.
    package static let probeLimit = 1 << 32
    /// Rows rotated together. Blocks begin at multiples of it and always have this shape, so that the order of
    /// summation in the product does not depend on which rows were asked for.
    private static let blockRows = 128
    /// Numbers of images that are probes, above those of all faces.
    private static let firstProbeSample = 1 << 48

    package let parameters: GalleryParameters
    private let population: GalleryPopulation
    private let space: FaceSpace
    private let galleryQuality: QualityDistribution
    private let probeQuality: QualityDistribution
    /// `[dimension × dimension]`: row `k` is the direction of spectral component `k`.
    private let rotation: Matrix
    /// `[8 × dimension]`, unit rows, spectral basis.
    private let hubs: [Float]
    /// `meanNorm` times a unit row.
    private let meanVector: [Float]

    /// Prepares the tables: a fraction of a second at dimension 512, several seconds at 2048 (for the rotation).
    package init(_ parameters: GalleryParameters) throws(GalleryError) {
        try parameters.validate()
        self.parameters = parameters
        population = GalleryPopulation(parameters: parameters)
        let space = FaceSpace(parameters: parameters)
        self.space = space
        galleryQuality = parameters.profile.gallery
        probeQuality = parameters.profile.probe
        let bits = RandomStream(seed: parameters.seed, purpose: .rotation, number: 0).block(0)
        var generator = SplitMix64(seed: UInt64(bits[0]) << 32 | UInt64(bits[1]))
        rotation = Matrix.randomOrthogonal(order: parameters.dimension, generator: &generator)
        let dimension = parameters.dimension
        hubs = unsafe [Float](unsafeUninitializedCapacity: Self.hubCount * dimension) { buffer, count in
            for hub in 0..<Self.hubCount {
                unsafe space.fillDirection(buffer.baseAddress! + hub * dimension, purpose: .hub, number: hub)
            }
            count = buffer.count
        }
        meanVector = unsafe [Float](unsafeUninitializedCapacity: dimension) { buffer, count in
            unsafe space.fillDirection(buffer.baseAddress!, purpose: .meanDirection, number: 0)
            unsafe SpectralArithmetic.scale(buffer.baseAddress!, by: Float(parameters.meanNorm), dimension)
            count = dimension
        }
    }

    package var faceCount: Int { parameters.faceCount }
    /// Identities that have at least one face.
    package var identityCount: Int { population.identityCount }

    /// `[faces.count × dimension]`, unit rows.
    package func faces(in faces: Range<Int>) -> [Float] {
        precondition(faces.lowerBound >= 0 && faces.upperBound <= faceCount, "faces are out of range")
        return unsafe rotatedRows(faces) { row, face, scratch in unsafe fillFace(row, face: face, scratch: &scratch) }
    }

    /// `[probes.count × dimension]`, unit rows; images that are in no gallery.
    package func probes(in probes: Range<Int>) -> [Float] {
        precondition(probes.lowerBound >= 0 && probes.upperBound <= Self.probeLimit, "probes are out of range")
        return unsafe rotatedRows(probes) { row, probe, scratch in
            unsafe fillImage(
                row,
                identity: depictedIdentity(ofProbe: probe) ?? GalleryPopulation.firstStranger + probe,
                sample: Self.firstProbeSample + probe,
                quality: probeQuality,
                scratch: &scratch
            )
        }
    }

    package func faceInfo(_ face: Int) -> FaceInfo {
        precondition((0..<faceCount).contains(face), "face is out of range")
        let identity = population.identity(ofFace: face)
        let kind = population.kind(ofFace: face)
        let quality =
            switch kind {
            case .original, .mislabelled: traits(ofSample: face, galleryQuality).quality
            case .exactCopy(let source), .nearCopy(let source), .sharedImage(let source):
                traits(ofSample: source, galleryQuality).quality
            case .garbage: 0.02 + 0.2 * copyDraw(face)[1]
            }
        let image = face - population.faces(ofIdentity: identity).lowerBound
        return FaceInfo(identity: identity, image: image, quality: quality, kind: kind)
    }

    package func probeInfo(_ probe: Int) -> ProbeInfo {
        precondition((0..<Self.probeLimit).contains(probe), "probe is out of range")
        let identity = depictedIdentity(ofProbe: probe)
        return ProbeInfo(
            identity: identity,
            mates: identity.map(mates) ?? [],
            quality: traits(ofSample: Self.firstProbeSample + probe, probeQuality).quality
        )
    }

    package func identityInfo(_ identity: Int) -> IdentityInfo {
        precondition((0..<GalleryPopulation.firstStranger).contains(identity), "identity is out of range")
        return space.info(ofIdentity: identity)
    }

    /// A UUID of version 8; also given for numbers beyond the gallery.
    package func faceID(_ face: Int) -> FaceID {
        let bits = RandomStream(seed: parameters.seed, purpose: .faceID, number: UInt64(face)).block(0)
        let high = UInt64(bits[0]) << 32 | UInt64(bits[1])
        let low = UInt64(bits[2]) << 32 | UInt64(bits[3])
        return FaceID(
            high: high & 0xFFFF_FFFF_FFFF_0FFF | 0x8000,
            low: low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        )
    }

    /// Such as `person-00001234`.
    package static func personID(_ identity: Int) -> String {
        let digits = String(identity)
        return "person-" + String(repeating: "0", count: max(0, 8 - digits.count)) + digits
    }

    /// The identity that ``personID(_:)`` makes a text of; nil for any other text.
    package static func identity(_ personID: String) -> Int? {
        let prefix = "person-"
        guard personID.hasPrefix(prefix) else { return nil }
        return Int(personID.dropFirst(prefix.count)).flatMap { Self.personID($0) == personID ? $0 : nil }
    }

    /// The faces that are enrolled under an identity, consecutive.
    package func faces(ofIdentity identity: Int) -> Range<Int> {
        precondition((0..<identityCount).contains(identity), "identity is out of range")
        return population.faces(ofIdentity: identity)
    }

    /// The faces that show an identity under its name.
    private func mates(_ identity: Int) -> [Int] {
        population.faces(ofIdentity: identity).filter { population.kind(ofFace: $0).showsItsPerson }
    }

    /// The enrolled identity of a mated probe, evenly over identities that have a mate to find; `nil` for a stranger.
    private func depictedIdentity(ofProbe probe: Int) -> Int? {
        let stream = RandomStream(seed: parameters.seed, purpose: .probeTraits, number: UInt64(probe))
        guard stream.uniforms(0)[0] < parameters.matedShare else { return nil }
        for attempt in 1...64 {
            let identity = Int(stream.uniforms(UInt32(attempt))[0] * Double(identityCount))
            let faces = population.faces(ofIdentity: identity)
            if faces.contains(where: { population.kind(ofFace: $0).showsItsPerson }) { return identity }
        }
        return nil
    }

    private func traits(ofSample sample: Int, _ distribution: QualityDistribution) -> (quality: Double, year: Double) {
        let draw = RandomStream(seed: parameters.seed, purpose: .imageTraits, number: UInt64(sample)).uniforms(0)
        return (distribution.quality(draw[0]), draw[1])
    }

    private func copyDraw(_ face: Int) -> SIMD2<Double> {
        RandomStream(seed: parameters.seed, purpose: .faceKind, number: UInt64(face)).uniforms(1)
    }
}

// MARK: - Rows

extension SyntheticGallery {
    /// The person of the last image, kept because images of one person follow each other.
    private struct PersonScratch {
        var identity = -1
        var person: [Float]
        /// Where the person moves with the years: a unit row orthogonal to the person.
        var ageing: [Float]
        /// Radians per year.
        var ageingRate: Float = 0
        /// The person at the time of the image.
        var aged: [Float]

        init(dimension: Int) {
            person = [Float](repeating: 0, count: dimension)
            ageing = person
            aged = person
        }
    }

    /// Makes rows in the spectral basis block by block and rotates each block by one product.
    private func rotatedRows(
        _ range: Range<Int>,
        fill: (UnsafeMutablePointer<Float>, Int, inout PersonScratch) -> Void
    ) -> [Float] {
        let dimension = parameters.dimension
        let blockRows = Self.blockRows
        guard !range.isEmpty else { return [] }
        var scratch = PersonScratch(dimension: dimension)
        var spectral = [Float](repeating: 0, count: blockRows * dimension)
        var rotated = spectral
        return unsafe [Float](unsafeUninitializedCapacity: range.count * dimension) { rows, count in
            var next = range.lowerBound
            while next < range.upperBound {
                let block = next / blockRows * blockRows
                let end = min(range.upperBound, block + blockRows)
                unsafe spectral.withUnsafeMutableBufferPointer { spectral in
                    for number in next..<end {
                        unsafe fill(spectral.baseAddress! + (number - block) * dimension, number, &scratch)
                    }
                }
                unsafe rotated.withUnsafeMutableBufferPointer { rotated in
                    unsafe spectral.withUnsafeBufferPointer { spectral in
                        unsafe rotation.storage.withUnsafeBufferPointer { rotation in
                            unsafe BLAS.multiply(
                                a: spectral.baseAddress!,
                                aRows: blockRows,
                                aColumns: dimension,
                                b: rotation.baseAddress!,
                                bRows: dimension,
                                bColumns: dimension,
                                into: rotated.baseAddress!
                            )
                        }
                    }
                    let target = unsafe rows.baseAddress! + (next - range.lowerBound) * dimension
                    let source = unsafe rotated.baseAddress! + (next - block) * dimension
                    unsafe target.initialize(from: source, count: (end - next) * dimension)
                }
                next = end
            }
            count = range.count * dimension
        }
    }

    private func fillFace(_ row: UnsafeMutablePointer<Float>, face: Int, scratch: inout PersonScratch) {
        switch population.kind(ofFace: face) {
        case .original:
            let identity = population.identity(ofFace: face)
            unsafe fillImage(row, identity: identity, sample: face, quality: galleryQuality, scratch: &scratch)
        case .mislabelled(let identity):
            unsafe fillImage(row, identity: identity, sample: face, quality: galleryQuality, scratch: &scratch)
        case .exactCopy(let source), .sharedImage(let source):
            let identity = population.identity(ofFace: source)
            unsafe fillImage(row, identity: identity, sample: source, quality: galleryQuality, scratch: &scratch)
        case .nearCopy(let source):
            let dimension = parameters.dimension
            let base = unsafe [Float](unsafeUninitializedCapacity: dimension) { base, count in
                let identity = population.identity(ofFace: source)
                unsafe fillImage(
                    base.baseAddress!,
                    identity: identity,
                    sample: source,
                    quality: galleryQuality,
                    scratch: &scratch
                )
                count = dimension
            }
            unsafe base.withUnsafeBufferPointer { base in
                let base = base.baseAddress!
                unsafe space.fillNoise(row, orthogonalTo: base, purpose: .copyNoise, number: face)
                let cosine = Float(0.97 + 0.029 * copyDraw(face)[0])
                unsafe SpectralArithmetic.mix(row, with: base, cosine: cosine, dimension)
            }
        case .garbage(let hub):
            // Cosine b to the hub, as the recipe's "0.4 to 0.9 to each other" asks for (there: b h + (1 - b) u).
            unsafe hubs.withUnsafeBufferPointer { hubs in
                let direction = unsafe hubs.baseAddress! + hub * parameters.dimension
                unsafe space.fillDirection(row, purpose: .copyNoise, number: face)
                unsafe SpectralArithmetic.makeOrthogonal(row, to: direction, parameters.dimension)
                let cosine = Float(0.6 + 0.35 * copyDraw(face)[0])
                unsafe SpectralArithmetic.mix(row, with: direction, cosine: cosine, parameters.dimension)
            }
            unsafe addMean(to: row)
        }
    }

    /// Image `sample` of a person: at cosine `quality` to the person as old as it is in that image.
    private func fillImage(
        _ row: UnsafeMutablePointer<Float>,
        identity: Int,
        sample: Int,
        quality distribution: QualityDistribution,
        scratch: inout PersonScratch
    ) {
        let dimension = parameters.dimension
        let (quality, year) = traits(ofSample: sample, distribution)
        let years = parameters.irregularities.ageingYears
        if scratch.identity != identity { load(identity, into: &scratch) }
        unsafe scratch.person.withUnsafeBufferPointer { person in
            unsafe scratch.aged.withUnsafeMutableBufferPointer { aged in
                let aged = aged.baseAddress!
                unsafe aged.update(from: person.baseAddress!, count: dimension)
                if years > 0 {
                    let angle = scratch.ageingRate * Float(years * (year - 0.5))
                    unsafe SpectralArithmetic.scale(aged, by: cosf(angle), dimension)
                    unsafe scratch.ageing.withUnsafeBufferPointer { ageing in
                        unsafe SpectralArithmetic.add(ageing.baseAddress!, times: sinf(angle), to: aged, dimension)
                    }
                }
                unsafe space.fillNoise(row, orthogonalTo: aged, purpose: .imageNoise, number: sample)
                unsafe SpectralArithmetic.mix(row, with: aged, cosine: Float(quality), dimension)
            }
        }
        unsafe addMean(to: row)
    }

    private func load(_ identity: Int, into scratch: inout PersonScratch) {
        let dimension = parameters.dimension
        scratch.identity = identity
        unsafe scratch.person.withUnsafeMutableBufferPointer { person in
            unsafe space.fillPerson(person.baseAddress!, identity: identity)
        }
        guard parameters.irregularities.ageingYears > 0 else { return }
        let stream = RandomStream(seed: parameters.seed, purpose: .identityTraits, number: UInt64(identity))
        scratch.ageingRate = Float((1 + 0.5 * stream.uniforms(1)[1]) * Double.pi / 180)
        unsafe scratch.person.withUnsafeBufferPointer { person in
            unsafe scratch.ageing.withUnsafeMutableBufferPointer { ageing in
                let ageing = ageing.baseAddress!
                unsafe space.fillDirection(ageing, purpose: .ageingDirection, number: identity)
                unsafe SpectralArithmetic.makeOrthogonal(ageing, to: person.baseAddress!, dimension)
            }
        }
    }

    private func addMean(to row: UnsafeMutablePointer<Float>) {
        if parameters.meanNorm > 0 {
            unsafe meanVector.withUnsafeBufferPointer { mean in
                unsafe SpectralArithmetic.add(mean.baseAddress!, times: 1, to: row, parameters.dimension)
            }
        }
        unsafe SpectralArithmetic.normalise(row, parameters.dimension)
    }
}
