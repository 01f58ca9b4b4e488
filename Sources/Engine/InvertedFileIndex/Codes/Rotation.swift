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

    init(projection: [Float], dimension: Int) {
        self.dimension = dimension
        var rows: [Int8] = []
        rows.reserveCapacity(projection.count)
        var steps: [Float] = []
        for first in stride(from: 0, to: projection.count, by: dimension) {
            let row = projection[first..<first + dimension]
            rows.append(contentsOf: CoarseQuantizer.quantize(row))
            steps.append(row.reduce(0) { max($0, abs($1)) } / 127)
        }
        self.rows = rows
        self.steps = steps
    }

    /// `[n × rowCount]` from `[n × dimension]`.
    func rotate(_ probes: [Float]) -> [Float] {
        let probeCount = probes.count / dimension
        var bytes: [Int8] = []
        bytes.reserveCapacity(probes.count)
        var probeSteps: [Float] = []
        for first in stride(from: 0, to: probes.count, by: dimension) {
            let probe = probes[first..<first + dimension]
            bytes.append(contentsOf: CoarseQuantizer.quantize(probe))
            probeSteps.append(probe.reduce(0) { max($0, abs($1)) } / 127)
        }
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
