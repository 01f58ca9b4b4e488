/// Embeddings are stored when they are finite and of unit length, up to what rounding moves it.
package enum UnitLength {
    /// How far the square of the length may be from 1. Rounding to float16 moves it by a thousandth at most.
    package static let tolerance: Float = 0.02
    /// Why an embedding of another length is not stored, as one sentence.
    package static let problem = "an embedding is not of unit length, or not finite"

    /// - Parameter square: of a length; infinite or NaN when a component is, or when the length is huge.
    fileprivate static func holds(forSquare square: Float, tolerance: Float) -> Bool { abs(square - 1) < tolerance }

    /// The sum of the squares of components, in four parts that do not wait for each other.
    @inline(__always)
    fileprivate static func square(count: Int, _ component: (_ index: Int) -> Float) -> Float {
        var parts = SIMD4<Float>.zero
        var index = 0
        while index + 4 <= count {
            let four = SIMD4<Float>(
                component(index),
                component(index + 1),
                component(index + 2),
                component(index + 3)
            )
            parts += four * four
            index += 4
        }
        var sum = parts.sum()
        while index < count {
            sum += component(index) * component(index)
            index += 1
        }
        return sum
    }
}

extension EmbeddingMatrix {
    /// Whether every row is finite and of unit length; see ``UnitLength``.
    package var hasUnitLength: Bool {
        (0..<rowCount).allSatisfy { row in
            let first = row * dimension
            let square = UnitLength.square(count: dimension) { values[first + $0] }
            return UnitLength.holds(forSquare: square, tolerance: UnitLength.tolerance)
        }
    }
}

extension StoredPrecision {
    /// Whether a stored embedding is finite and of unit length; see ``UnitLength``.
    package func hasUnitLength(_ embedding: ArraySlice<UInt8>, tolerance: Float = UnitLength.tolerance) -> Bool {
        let square = unsafe embedding.withUnsafeBytes { bytes -> Float in
            let count = bytes.count / byteCount
            switch self {
            case .float16:
                return UnitLength.square(count: count) { index in
                    let bits = unsafe UInt16(
                        littleEndian: bytes.loadUnaligned(fromByteOffset: 2 * index, as: UInt16.self)
                    )
                    // Without the sign, and the exponent moved by the difference of the formats: quicker than
                    // converting, where the processor does not, and far from 1 for what is not finite.
                    return Float(bitPattern: UInt32(bits & 0x7fff) << 13) * 0x1p112
                }
            case .float32:
                return UnitLength.square(count: count) { index in
                    Float(
                        bitPattern: unsafe UInt32(
                            littleEndian: bytes.loadUnaligned(fromByteOffset: 4 * index, as: UInt32.self)
                        )
                    )
                }
            }
        }
        return UnitLength.holds(forSquare: square, tolerance: tolerance)
    }
}
