import Testing
import VectorMath

extension VectorKernelsTests {
    struct Codes {
        static let shapes: [(dimension: Int, bits: Int)] =
            [64, 128, 256, 512].map { ($0, 2) } + [128, 256, 512, 1024].map { ($0, 1) }

        @Test(arguments: shapes, [0, 1, 7])
        func encodingFollowsTheLayoutOnEveryLevel(shape: (dimension: Int, bits: Int), rowCount: Int) {
            let (dimension, bits) = shape
            let oracle = CodeOracle(dimension: dimension, bits: bits)
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension + bits))
            let scale = (0..<dimension).map { _ in Float.random(in: 0.01...2, using: &random) }
            var rows = random.gaussians(rowCount * dimension)
            // Signed zeros and values on the decision threshold itself.
            for row in 0..<rowCount {
                for (d, value) in [0, -0, 0.9816 * scale[2], -0.9816 * scale[3]].enumerated() {
                    rows[row * dimension + d] = value
                }
            }
            var first: (codes: [UInt8], selfDot: [UInt32], codeDot: [UInt32])?
            VectorKernelsTests.onEveryLevel { level in
                let offset = Int(level.rawValue) + 1
                let rowBuffer = TestBuffer(rows, offset: offset)
                let scaleBuffer = TestBuffer(scale, offset: offset)
                let codes = TestBuffer([UInt8](repeating: 0xFF, count: rowCount * oracle.byteCount), offset: offset)
                let selfDot = TestBuffer([Float](repeating: .nan, count: rowCount), offset: offset)
                let codeDot = TestBuffer([Float](repeating: .nan, count: rowCount), offset: offset)
                VectorKernels.encode(
                    rows: rowBuffer.readOnly,
                    rowCount: rowCount,
                    bits: bits,
                    scale: scaleBuffer.readOnly,
                    codes: codes.elements,
                    selfDot: selfDot.elements,
                    codeDot: codeDot.elements
                )
                #expect(codes.guardsAreIntact && selfDot.guardsAreIntact && codeDot.guardsAreIntact)
                for row in 0..<rowCount {
                    let code = Array(codes.values[row * oracle.byteCount..<(row + 1) * oracle.byteCount])
                    let y = rows[row * dimension..<(row + 1) * dimension]
                    var selfSum = 0.0
                    var codeSum = 0.0
                    for (d, value) in y.enumerated() {
                        let found = oracle.level(of: code, d)
                        #expect(found == oracle.expectedLevel(value, scale: scale[d]), "\(level.name), component \(d)")
                        selfSum += Double(value) * Double(value)
                        codeSum += Double(value) * oracle.value(ofLevel: found) * Double(scale[d])
                    }
                    #expect(selfDot.values[row].bitPattern == laneSum(y, y).bitPattern)
                    #expect(abs(Double(selfDot.values[row]) - selfSum) <= 1e-5 * selfSum)
                    #expect(abs(Double(codeDot.values[row]) - codeSum) <= 1e-5 * codeSum)
                }
                let result = (codes: codes.values, selfDot: bits_(selfDot), codeDot: bits_(codeDot))
                if let first {
                    #expect(result == first, "\(level.name) differs from scalar, seed \(testSeed)")
                } else {
                    first = result
                }
            }
        }

        /// Encoded components must lie in the code where the packed planes and the look-up tables expect them.
        @Test(arguments: 1...8, [0, 1, 15, 16, 17, 100])
        func packingThenUnpackingGivesEveryCodeBack(planeCount: Int, rowCount: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(planeCount))
            let codes = randomCodes(rowCount, planeCount, &random)
            let planes = PackedPlanes(codes: codes, planeCount: planeCount, offset: 3)
            #expect(planes.guardsAreIntact)
            for (row, code) in codes.enumerated() {
                let out = TestBuffer([UInt8](repeating: 0xFF, count: 16 * planeCount), offset: 1)
                planes.withPointers { VectorKernels.unpackCode(planes: $0, row: row, code: out.elements) }
                #expect(out.values == code)
                #expect(out.guardsAreIntact)
                for plane in 0..<planeCount {
                    for z in 0..<4 {
                        for j in 0..<4 {
                            let packed = planes.bytes(plane)[row / 16 * 256 + 64 * z + 4 * (row % 16) + j]
                            #expect(packed == code[16 * plane + 4 * z + j])
                        }
                    }
                }
            }
            for plane in 0..<planeCount {
                let present = codes.reduce(0) { sum, code in
                    sum + code[16 * plane..<16 * plane + 16].reduce(0) { $0 + Int($1) }
                }
                // Nothing but the codes: absent rows are zero.
                #expect(planes.bytes(plane).reduce(0) { $0 + Int($1) } == present)
            }
        }

        @Test(arguments: shapes)
        func tablesEstimateTheInnerProductWithTheReconstruction(dimension: Int, bits: Int) {
            let oracle = CodeOracle(dimension: dimension, bits: bits)
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension + bits))
            let probe = random.gaussians(dimension, scale: 0.06)
            let scale = (0..<dimension).map { _ in Float.random(in: 0.01...0.2, using: &random) }
            let lut = TestBuffer([UInt8](repeating: 0xFF, count: 512 * oracle.planeCount), offset: 1)
            let (step, bias) = probe.withUnsafeBufferPointer { probe in
                scale.withUnsafeBufferPointer {
                    VectorKernels.buildLUT(probe: probe, bits: bits, scale: $0, lut: lut.elements)
                }
            }
            #expect(lut.guardsAreIntact)
            #expect(lut.values.max() == 255, "the widest table uses the whole range")
            let tables = 32 * oracle.planeCount
            for table in 0..<tables { #expect(lut.values[16 * table..<16 * table + 16].min() == 0) }
            for code in randomCodes(20, oracle.planeCount, &random) {
                let sum = (0..<oracle.planeCount).reduce(0) {
                    $0 + CodeOracle.planeSum(code, lut: lut.values, plane: $1)
                }
                let exact = (0..<dimension).reduce(0.0) {
                    $0 + Double(probe[$1]) * Double(scale[$1]) * oracle.value(ofLevel: oracle.level(of: code, $1))
                }
                let estimate = Double(step) * Double(sum) + Double(bias)
                // Each table is off by half a step at most.
                #expect(abs(estimate - exact) <= Double(step) * Double(tables) * 0.501, "seed \(testSeed)")
            }
        }

        @Test func aProbeOfZerosHasATableOfZeros() {
            let lut = TestBuffer([UInt8](repeating: 0xFF, count: 512))
            let zeros = [Float](repeating: 0, count: 64)
            let (step, bias) = zeros.withUnsafeBufferPointer {
                VectorKernels.buildLUT(probe: $0, bits: 2, scale: $0, lut: lut.elements)
            }
            #expect(step == 1 && bias == 0)
            #expect(lut.values.allSatisfy { $0 == 0 })
        }

        private func bits_(_ buffer: TestBuffer<Float>) -> [UInt32] { bits(buffer.values) }
    }
}

/// Row-major codes of random bytes.
func randomCodes(_ count: Int, _ planeCount: Int, _ random: inout SplitMix64) -> [[UInt8]] {
    (0..<count).map { _ in (0..<16 * planeCount).map { _ in UInt8.random(in: 0...255, using: &random) } }
}

/// Codes as group-major planes, each in memory of its own.
struct PackedPlanes {
    private let planes: [TestBuffer<UInt8>]

    init(codes: [[UInt8]], planeCount: Int, offset: Int) {
        let byteCount = (codes.count + 15) / 16 * 256
        planes = (0..<planeCount).map {
            TestBuffer([UInt8](repeating: 0xEE, count: byteCount), offset: offset + $0)
        }
        let rows = codes.map { TestBuffer($0, offset: 1) }
        let rowPointers = rows.map { UnsafePointer($0.elements.baseAddress!) as Optional }
        let planePointers = planes.map(\.elements.baseAddress)
        rowPointers.withUnsafeBufferPointer { rowCodes in
            planePointers.withUnsafeBufferPointer { VectorKernels.packCodes(rowCodes: rowCodes, planes: $0) }
        }
        withExtendedLifetime(rows) {}
    }

    var guardsAreIntact: Bool { planes.allSatisfy(\.guardsAreIntact) }

    func bytes(_ plane: Int) -> [UInt8] { planes[plane].values }

    func withPointers(_ body: (UnsafeBufferPointer<UnsafePointer<UInt8>?>) -> Void) {
        planes.map { UnsafePointer($0.elements.baseAddress) }.withUnsafeBufferPointer(body)
        withExtendedLifetime(planes) {}
    }
}
