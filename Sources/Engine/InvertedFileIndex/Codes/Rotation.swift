internal import VectorMath

/// The one way vectors are rotated while serving: lane sums, so that every machine gives the same bits.
enum Rotation {
    /// `[n × rowCount]` from vectors `[n × dimension]` and rows `[rowCount × dimension]`.
    static func project(_ vectors: [Float], rows: [Float], dimension: Int) -> [Float] {
        precondition(vectors.count % dimension == 0 && rows.count % dimension == 0, "whole rows")
        let count = vectors.count / dimension * (rows.count / dimension)
        return unsafe [Float](unsafeUninitializedCapacity: count) { out, initialized in
            unsafe vectors.withUnsafeBufferPointer { vectors in
                unsafe rows.withUnsafeBufferPointer { rows in
                    unsafe VectorKernels.dotFloat32(
                        probes: vectors,
                        rows: rows,
                        dimension: dimension,
                        out: UnsafeMutableBufferPointer(rebasing: out[0..<count])
                    )
                }
            }
            initialized = count
        }
    }
}

/// Rotates probes by integer arithmetic: exact sums of products of bytes, the same on every machine.
///
/// A rotated probe only ranks lists and estimates similarities. Bytes err by about 0.0005 in a similarity where codes
/// err by 0.02, and read a quarter of the memory.
struct ProbeRotation: Sendable {
    private let dimension: Int
    /// `[rowCount × dimension]`: each row of the projection scaled to ±127 and rounded.
    private let rows: [Int8]
    /// `[rowCount]`: what a unit of a row stands for.
    private let steps: [Float]

    var byteCount: Int { rows.count + 4 * steps.count }

    init(projection: [Float], dimension: Int) {
        self.dimension = dimension
        (rows, steps) = Self.quantized(projection, dimension: dimension)
    }

    /// Vectors `[n × dimension]`, each scaled to ±127 and rounded, and what a unit of each stands for.
    private static func quantized(_ vectors: [Float], dimension: Int) -> (bytes: [Int8], steps: [Float]) {
        var bytes: [Int8] = []
        bytes.reserveCapacity(vectors.count)
        var steps: [Float] = []
        for first in stride(from: 0, to: vectors.count, by: dimension) {
            let vector = vectors[first..<first + dimension]
            bytes.append(contentsOf: CoarseQuantizer.quantize(vector))
            steps.append(vector.reduce(0) { max($0, abs($1)) } / 127)
        }
        return (bytes, steps)
    }

    /// `[n × rowCount]` from `[n × dimension]`.
    func rotate(_ probes: [Float]) -> [Float] {
        let probeCount = probes.count / dimension
        let (bytes, probeSteps) = Self.quantized(probes, dimension: dimension)
        var sums = [Int32](repeating: 0, count: probeCount * steps.count)
        unsafe bytes.withUnsafeBufferPointer { bytes in
            unsafe rows.withUnsafeBufferPointer { rows in
                unsafe sums.withUnsafeMutableBufferPointer { sums in
                    unsafe VectorKernels.dotInt8(probes: bytes, rows: rows, dimension: dimension, out: sums)
                }
            }
        }
        return unsafe [Float](unsafeUninitializedCapacity: sums.count) { out, initialized in
            for probe in 0..<probeCount {
                for row in 0..<steps.count {
                    let index = probe * steps.count + row
                    unsafe out[index] = Float(sums[index]) * (probeSteps[probe] * steps[row])
                }
            }
            initialized = sums.count
        }
    }
}
