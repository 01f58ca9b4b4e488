import Testing
import VectorMath

extension VectorKernelsTests {
    struct Codes {
        static let shapes = [
            [1], [2], [3], [4], [3, 1, 1], [2, 2], [0, 1], [4, 3, 1], [1, 1, 1, 1, 1, 1, 1, 1], [2, 0, 4],
        ].map(CodeOracle.init(bits:))

        @Test(arguments: shapes, [0, 1, 7])
        func encodingFollowsTheLayoutOnEveryLevel(oracle: CodeOracle, rowCount: Int) {
            let dimension = oracle.dimension
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension + oracle.planes.count))
            let scale = (0..<dimension).map { _ in Float.random(in: 0.01...2, using: &random) }
            var rows = random.gaussians(rowCount * dimension)
            // Signed zeros, values on a decision threshold itself, and values far outside.
            for row in 0..<rowCount {
                let unit = { CodeOracle.step(max(1, oracle.bits(of: $0))) * scale[$0] }
                for (d, value) in [0, -0, unit(2), -unit(3), 2 * unit(4), 1e6, -1e6].enumerated() {
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
                    planes: oracle.planes,
                    scale: scaleBuffer.readOnly,
                    codes: codes.elements,
                    selfDot: selfDot.elements,
                    codeDot: codeDot.elements
                )
                #expect(codes.guardsAreIntact && selfDot.guardsAreIntact && codeDot.guardsAreIntact)
                for row in 0..<rowCount {
                    let code = Array(codes.values[row * oracle.byteCount..<(row + 1) * oracle.byteCount])
                    let y = Array(rows[row * dimension..<(row + 1) * dimension])
                    var codeSum = 0.0
                    var size = 0.0
                    for (d, value) in y.enumerated() where oracle.bits(of: d) > 0 {
                        let bits = oracle.bits(of: d)
                        let found = oracle.level(of: code, d)
                        let expected = oracle.expectedLevel(value, scale: scale[d], bits: bits)
                        #expect(found == expected, "\(level.name), component \(d)")
                        let product = Double(value) * oracle.value(ofLevel: found, bits: bits) * Double(scale[d])
                        codeSum += product
                        size += abs(product)
                    }
                    let coded = oracle.planes.filter { $0.bit == 0 }.flatMap {
                        (plane: CodePlane) -> ArraySlice<Float> in
                        y[128 * plane.segment..<128 * (plane.segment + 1)]
                    }
                    #expect(selfDot.values[row].bitPattern == laneSum(coded[...], coded[...]).bitPattern)
                    #expect(abs(Double(codeDot.values[row]) - codeSum) <= 1e-5 * size)
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
        func tablesEstimateTheInnerProductWithTheReconstruction(oracle: CodeOracle) {
            let dimension = oracle.dimension
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension + oracle.planes.count))
            let probe = random.gaussians(dimension, scale: 0.06)
            let scale = (0..<dimension).map { _ in Float.random(in: 0.01...0.2, using: &random) }
            let lut = TestBuffer([UInt8](repeating: 0xFF, count: 512 * oracle.planes.count), offset: 1)
            let biases = TestBuffer([Float](repeating: .nan, count: oracle.planes.count), offset: 1)
            let step = probe.withUnsafeBufferPointer { probe in
                scale.withUnsafeBufferPointer {
                    VectorKernels.buildLUT(
                        probe: probe,
                        planes: oracle.planes,
                        scale: $0,
                        lut: lut.elements,
                        biases: biases.elements
                    )
                }
            }
            #expect(lut.guardsAreIntact && biases.guardsAreIntact)
            #expect(lut.values.max() == 255, "the widest table uses the whole range")
            let tables = 32 * oracle.planes.count
            for table in 0..<tables { #expect(lut.values[16 * table..<16 * table + 16].min() == 0) }
            for code in randomCodes(20, oracle.planes.count, &random) {
                var sum = 0
                for plane in oracle.planes.indices {
                    sum += CodeOracle.planeSum(code, lut: lut.values, plane: plane)
                    let exact = (0..<dimension).reduce(0.0) {
                        $0 + Double(probe[$1]) * Double(scale[$1]) * oracle.partialValue(code, $1, through: plane)
                    }
                    let estimate = Double(step) * Double(sum) + Double(biases.values[plane])
                    // Each table is off by half a step at most.
                    #expect(abs(estimate - exact) <= Double(step) * Double(tables) * 0.501, "seed \(testSeed)")
                }
                for d in 0..<dimension where oracle.bits(of: d) > 0 {
                    let whole = oracle.partialValue(code, d, through: oracle.planes.count - 1)
                    let value = oracle.value(ofLevel: oracle.level(of: code, d), bits: oracle.bits(of: d))
                    #expect(abs(whole - value) < 1e-6, "the planes of a component add up to its level")
                }
            }
        }

        @Test func aProbeOfZerosHasATableOfZeros() {
            let lut = TestBuffer([UInt8](repeating: 0xFF, count: 512))
            let bias = TestBuffer([Float](repeating: .nan, count: 1))
            let zeros = [Float](repeating: 0, count: 128)
            let step = zeros.withUnsafeBufferPointer {
                VectorKernels.buildLUT(
                    probe: $0,
                    planes: [CodePlane(segment: 0, bit: 0, of: 1)],
                    scale: $0,
                    lut: lut.elements,
                    biases: bias.elements
                )
            }
            #expect(step == 1 && bias.values == [0])
            #expect(lut.values.allSatisfy { $0 == 0 })
        }

        @Test func planesThatDoNotMakeACodeAreNotValid() {
            let first = CodePlane(segment: 0, bit: 0, of: 2)
            let second = CodePlane(segment: 0, bit: 1, of: 2)
            #expect(CodePlane.areValid([first, second], dimension: 128))
            #expect(!CodePlane.areValid([], dimension: 128))
            #expect(!CodePlane.areValid([first], dimension: 128), "a bit is missing")
            #expect(!CodePlane.areValid([second, first], dimension: 128), "a bit comes before the one above it")
            #expect(!CodePlane.areValid([first, first, second], dimension: 128))
            #expect(!CodePlane.areValid([first, CodePlane(segment: 0, bit: 1, of: 3)], dimension: 128))
            #expect(!CodePlane.areValid([CodePlane(segment: 1, bit: 0, of: 1)], dimension: 128))
            #expect(!CodePlane.areValid([CodePlane(segment: 0, bit: 0, of: 5)], dimension: 128))
            #expect(!CodePlane.areValid([CodePlane(segment: 0, bit: 0, of: 1)], dimension: 120))
            let nine = (0..<9).map { CodePlane(segment: $0, bit: 0, of: 1) }
            #expect(!CodePlane.areValid(nine, dimension: 9 * 128))
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
