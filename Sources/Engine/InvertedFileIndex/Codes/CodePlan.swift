/// How an embedding becomes a code: which components of the rotated embedding are kept, and with how many bits.
package struct CodePlan: Hashable, Sendable {
    /// Components that are coded: the leading principal ones, a whole number of planes.
    package let codedDimension: Int
    /// 1 or 2.
    package let bitsPerComponent: Int

    package init(codedDimension: Int, bitsPerComponent: Int) {
        self.codedDimension = codedDimension
        self.bitsPerComponent = bitsPerComponent
    }

    /// Components of one 16-byte plane; each such segment has a rotation of its own.
    package var segmentDimension: Int { 128 / bitsPerComponent }
    package var planeCount: Int { codedDimension / segmentDimension }
    package var codeByteCount: Int { planeCount * 16 }

    /// Components the coarse quantizer looks at.
    package var centroidDimension: Int { min(codedDimension, 256) }

    /// Least share of the energy that 256 components must hold for two bits each to be the better use of 64 bytes.
    package static let twoBitEnergyShare: Float = 0.95

    /// The plan for a spectrum: two bits for 256 components where they hold 95 % of the energy, else one bit for 512.
    ///
    /// - Parameter energies: variances along the principal components, greatest first; `dimension` of them.
    package static func forSpectrum(_ energies: [Float]) -> CodePlan {
        let dimension = energies.count
        if dimension < 256 {
            return CodePlan(codedDimension: dimension / 64 * 64, bitsPerComponent: 2)
        }
        let total = energies.reduce(0, +)
        let leading = energies.prefix(256).reduce(0, +)
        if dimension < 512 || leading >= twoBitEnergyShare * total {
            return CodePlan(codedDimension: 256, bitsPerComponent: 2)
        }
        return CodePlan(codedDimension: 512, bitsPerComponent: 1)
    }
}
