internal import VectorMath

/// The codes of some rows, row-major, with what estimation needs beside them.
package struct CodeBatch: Sendable {
    package let rowCount: Int
    /// `[rowCount × codeByteCount]`.
    package let codes: [UInt8]
    /// `[rowCount]`: `|y|² / ⟨y, code(y)⟩`, float16 bits.
    package let factors: [UInt16]
    /// `[rowCount]`: nearest inverted list.
    package let lists: [UInt32]
    /// `[rowCount]`: `|y|²`, the energy in the coded components.
    package let codedEnergies: [Float]
    /// `[rowCount]`: `|x − mean|²`, the energy in all components.
    package let energies: [Float]
}

extension Codebook {
    /// The squared distance of each embedding from the mean.
    private func energies(of embeddings: [Float]) -> [Float] {
        unsafe embeddings.withUnsafeBufferPointer { embeddings in
            unsafe mean.withUnsafeBufferPointer { mean in
                stride(from: 0, to: embeddings.count, by: dimension).map { first in
                    var sum: Float = 0
                    for component in 0..<dimension {
                        let difference = unsafe embeddings[first + component] - mean[component]
                        sum += difference * difference
                    }
                    return sum
                }
            }
        }
    }

    /// Codes embeddings and finds their lists.
    ///
    /// - Parameter embeddings: `[rowCount × dimension]`, as stored (after rounding to the stored precision), so that
    ///   coding again gives the same codes.
    package func encode(embeddings: [Float]) -> CodeBatch {
        let rowCount = embeddings.count / dimension
        let rotated = rotate(embeddings: embeddings)
        var codes = [UInt8](repeating: 0, count: rowCount * plan.codeByteCount)
        var selfDot = [Float](repeating: 0, count: rowCount)
        var codeDot = [Float](repeating: 0, count: rowCount)
        unsafe rotated.withUnsafeBufferPointer { rows in
            unsafe scale.withUnsafeBufferPointer { scale in
                unsafe codes.withUnsafeMutableBufferPointer { codes in
                    unsafe selfDot.withUnsafeMutableBufferPointer { selfDot in
                        unsafe codeDot.withUnsafeMutableBufferPointer { codeDot in
                            unsafe VectorKernels.encode(
                                rows: rows,
                                rowCount: rowCount,
                                planes: plan.planes,
                                scale: scale,
                                codes: codes,
                                selfDot: selfDot,
                                codeDot: codeDot
                            )
                        }
                    }
                }
            }
        }
        // A row at the mean has no direction; any factor that is a normal float16 serves it.
        let factors = zip(selfDot, codeDot).map { $1 > 0 ? min(max($0 / $1, 0x1p-14), 60_000) : 1 }
        var halves = [UInt16](repeating: 0, count: rowCount)
        unsafe factors.withUnsafeBufferPointer { factors in
            unsafe halves.withUnsafeMutableBufferPointer { halves in
                unsafe VectorKernels.convertToFloat16(factors, into: halves)
            }
        }
        return CodeBatch(
            rowCount: rowCount,
            codes: codes,
            factors: halves,
            lists: quantizer.assign(rotated: rotated, rowStride: plan.codedDimension),
            codedEnergies: selfDot,
            energies: energies(of: embeddings)
        )
    }
}
