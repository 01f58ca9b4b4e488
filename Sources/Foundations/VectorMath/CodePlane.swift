internal import CVectorKernels

/// What one plane of a code holds: one bit for each of 128 components.
///
/// The components of a segment are quantized uniformly to the same number of bits; the most significant bit is bit 0.
/// Each bit adds or takes off a fixed amount, so each plane is a sum of its own and a scan may stop after any of them.
package struct CodePlane: Hashable, Sendable {
    /// Components of a plane.
    package static let dimension = 128
    package static let bitRange = 1...4

    /// The plane holds components `128 * segment` and the 127 that follow.
    package let segment: Int
    /// 0 ..< ``bits``.
    package let bit: Int
    /// Bits of each component of the segment, in as many planes.
    package let bits: Int

    package init(segment: Int, bit: Int, of bits: Int) {
        self.segment = segment
        self.bit = bit
        self.bits = bits
    }

    /// Share of the energy of normally distributed components that quantizing them leaves unexplained, by bits 0...4.
    ///
    /// - SeeAlso: Max, "Quantizing for minimum distortion" (1960), table II.
    package static let distortion: [Float] = [1, 0.3634, 0.1188, 0.0374, 0.0115]

    /// Whether the planes are 1...8, inside the dimension, every bit there once and behind the one above it.
    package static func areValid(_ planes: [CodePlane], dimension: Int) -> Bool {
        guard dimension % Self.dimension == 0, (1...VectorKernels.maximumPlaneCount).contains(planes.count) else {
            return false
        }
        var nextBits: [Int: Int] = [:]
        for plane in planes {
            guard plane.segment >= 0, (plane.segment + 1) * Self.dimension <= dimension,
                bitRange.contains(plane.bits), plane.bit < plane.bits,
                plane.bit == nextBits[plane.segment, default: 0],
                planes.allSatisfy({ $0.segment != plane.segment || $0.bits == plane.bits })
            else { return false }
            nextBits[plane.segment] = plane.bit + 1
        }
        return planes.allSatisfy { nextBits[$0.segment] == $0.bits }
    }

    static func check(_ planes: [CodePlane], dimension: Int) {
        precondition(areValid(planes, dimension: dimension), "planes must be valid for the dimension")
    }

    var kernelPlane: vk_plane {
        vk_plane(first_dim: UInt32(segment * Self.dimension), bit: UInt16(bit), bits: UInt16(bits))
    }
}

extension CodePlane: CustomStringConvertible {
    /// Such as `segment 0 bit 1/3`.
    package var description: String { "segment \(segment) bit \(bit + 1)/\(bits)" }
}
