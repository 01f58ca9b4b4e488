package import VectorMath

/// How an embedding becomes a code: which components of the rotated embedding are kept, and how finely.
///
/// Components are principal ones, turned at random within each segment of 128. `docs/decisions` has what was measured.
package struct CodePlan: Hashable, Sendable {
    /// In the order in which a scan reads them.
    package let planes: [CodePlane]

    package init(planes: [CodePlane]) {
        precondition(!planes.isEmpty, "a code has at least one plane")
        self.planes = planes
    }

    /// The plan that keeps `bits[i]` bits, 0…4, of each component of segment `i`.
    ///
    /// Planes are read from the first segments' greatest bits on, which separates most rows from mates soonest.
    package init(bits: [Int]) {
        let planes = bits.enumerated().flatMap { segment, count in
            (0..<count).map { CodePlane(segment: segment, bit: $0, of: count) }
        }
        self.init(planes: planes.sorted { ($0.bit + $0.segment, $0.bit) < ($1.bit + $1.segment, $1.bit) })
    }

    /// Components of a rotated embedding: whole segments, padded with zeros behind the dimension.
    package var codedDimension: Int { segmentCount * CodePlane.dimension }
    package var segmentCount: Int { planes.reduce(0) { max($0, $1.segment + 1) } }
    package var planeCount: Int { planes.count }
    package var codeByteCount: Int { planeCount * VectorKernels.planeByteCount }

    /// Components the coarse quantizer looks at.
    package var centroidDimension: Int { min(codedDimension, 256) }

    /// Most planes of a plan that is chosen by itself: 80 bytes a code.
    package static let automaticPlaneCount = 5

    /// The planes that reduce the error of a spectrum's codes most, bit by bit.
    ///
    /// The error of an estimate grows with the square of a segment's energy that is left unexplained, the part of a
    /// mate's similarity that is lost with the energy itself: what a bit gains is weighed between the two, by the power
    /// 1.5.
    ///
    /// - Parameters:
    ///   - energies: variances along the principal components, greatest first; `dimension` of them.
    ///   - planeCount: most planes, 16 bytes each.
    package static func forSpectrum(_ energies: [Float], planeCount: Int = automaticPlaneCount) -> CodePlan {
        let segments = (energies.count + CodePlane.dimension - 1) / CodePlane.dimension
        let weights = (0..<segments).map { segment -> Float in
            let first = segment * CodePlane.dimension
            let energy = energies[first..<min(energies.count, first + CodePlane.dimension)].reduce(0, +)
            return energy * energy.squareRoot()
        }
        var bits = [Int](repeating: 0, count: segments)
        for _ in 0..<planeCount {
            func gain(_ segment: Int) -> Float {
                bits[segment] < CodePlane.bitRange.upperBound
                    ? weights[segment] * (CodePlane.distortion[bits[segment]] - CodePlane.distortion[bits[segment] + 1])
                    : -1
            }
            // Energies fall, so of equal gains the first segment's is taken and no segment is skipped.
            let best = (0..<segments).reduce(0) { gain($1) > gain($0) ? $1 : $0 }
            if gain(best) < 0 { break }
            bits[best] += 1
        }
        return CodePlan(bits: bits)
    }
}
