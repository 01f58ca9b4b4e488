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

        /// Encoded components must lie in the code where slots and look-up tables expect them.
        @Test(arguments: 1...8, [0, 1, 15, 16, 17, 100])
        func packingThenUnpackingGivesEveryCodeBack(planeCount: Int, rowCount: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(planeCount))
            let codes = PackedCodes(rowCount: rowCount, planeCount: planeCount, offset: 3, &random)
            #expect(codes.guardsAreIntact)
            let headCount = min(2, planeCount)
            let recordByteCount = 16 * (planeCount - headCount + 1)
            #expect(VectorKernels.headCount(planeCount: planeCount) == headCount)
            #expect(VectorKernels.recordByteCount(planeCount: planeCount) == recordByteCount)
            for (slot, code) in codes.codes.enumerated() {
                #expect(codes.unpacked(slot) == code)
                for plane in 0..<headCount {
                    for z in 0..<4 {
                        for j in 0..<4 {
                            let packed = codes.head(plane)[slot / 16 * 256 + 64 * z + 4 * (slot % 16) + j]
                            #expect(packed == code[16 * plane + 4 * z + j])
                        }
                    }
                }
                let record = codes.record(slot)
                let (id, factor) = (codes.rowIDs[slot], codes.factors[slot])
                let fields =
                    (0..<4).map { UInt8(truncatingIfNeeded: id >> UInt32(8 * $0)) } + [
                        UInt8(truncatingIfNeeded: factor), UInt8(factor >> 8),
                    ]
                #expect(record == code.dropFirst(16 * headCount) + fields + [UInt8](repeating: 0, count: 10))
                #expect(codes.slot(slot) == (id, factor))
            }
            for slot in rowCount..<codes.slotCount {
                #expect(codes.unpacked(slot).allSatisfy { $0 == 0 })
                #expect(codes.slot(slot) == (VectorKernels.absentRow, 0))
            }
        }

        @Test(arguments: shapes)
        func tablesAndWeightsEstimateTheInnerProductWithTheReconstruction(oracle: CodeOracle) {
            let dimension = oracle.dimension
            let planeCount = oracle.planes.count
            let headCount = min(2, planeCount)
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension + planeCount))
            let probe = random.gaussians(dimension, scale: 0.06)
            let scale = (0..<dimension).map { _ in Float.random(in: 0.01...0.2, using: &random) }
            let (estimator, lut, weights) = estimator(of: oracle, probe: probe, scale: scale)
            let step = Double(estimator.step)
            let widest = lut.max()! == 255
            #expect(widest || weights.map { abs(Int($0)) }.max() == 127, "the widest range is used whole")
            for table in 0..<32 * headCount { #expect(lut[16 * table..<16 * table + 16].min() == 0) }
            for code in randomCodes(20, planeCount, &random) {
                func exact(through plane: Int) -> Double {
                    (0..<dimension).reduce(0.0) {
                        $0 + Double(probe[$1]) * Double(scale[$1]) * oracle.partialValue(code, $1, through: plane)
                    }
                }
                // Each table and each weight is off by half a step at most.
                let headSum = CodeOracle.headSum(code, lut: lut, planeCount: planeCount)
                let head = step * Double(headSum) + Double(estimator.headBias)
                #expect(abs(head - exact(through: headCount - 1)) <= step * Double(32 * headCount) * 0.501)
                let sum = headSum + CodeOracle.tailSum(code, weights: weights, planeCount: planeCount)
                let whole = step * Double(sum) + Double(estimator.bias)
                let roundings = Double(32 * headCount + 128 * (planeCount - headCount))
                #expect(abs(whole - exact(through: planeCount - 1)) <= step * roundings * 0.501, "seed \(testSeed)")
                for d in 0..<dimension where oracle.bits(of: d) > 0 {
                    let whole = oracle.partialValue(code, d, through: planeCount - 1)
                    let value = oracle.value(ofLevel: oracle.level(of: code, d), bits: oracle.bits(of: d))
                    #expect(abs(whole - value) < 1e-6, "the planes of a component add up to its level")
                }
            }
        }

        /// A weight is what its own component adds: of a probe along one component all others are zero.
        @Test(arguments: [0, 1, 31, 32, 77, 127])
        func weightsLieAtTheBitsOfTheirComponents(component: Int) {
            let oracle = CodeOracle(bits: [1, 1, 1])
            var probe = [Float](repeating: 0, count: 384)
            probe[256 + component] = -1
            let (_, _, weights) = estimator(of: oracle, probe: probe, scale: [Float](repeating: 0.5, count: 384))
            let expected = (0..<128).map { CodeOracle.component(ofBit: $0) == component ? Int8(-127) : 0 }
            #expect(weights == expected)
        }

        @Test func aProbeOfZerosHasTablesOfZeros() {
            let zeros = [Float](repeating: 0, count: 384)
            let (estimator, lut, weights) = estimator(of: CodeOracle(bits: [1, 1, 1]), probe: zeros, scale: zeros)
            #expect(estimator == VectorKernels.Estimator(step: 1, headBias: 0, bias: 0))
            #expect(lut.allSatisfy { $0 == 0 } && weights.allSatisfy { $0 == 0 })
        }

        private func estimator(
            of oracle: CodeOracle,
            probe: [Float],
            scale: [Float]
        ) -> (VectorKernels.Estimator, lut: [UInt8], weights: [Int8]) {
            let headCount = min(2, oracle.planes.count)
            let lut = TestBuffer([UInt8](repeating: 0xFF, count: 512 * headCount), offset: 1)
            let weights = TestBuffer([Int8](repeating: 99, count: 128 * (oracle.planes.count - headCount)), offset: 1)
            let estimator = probe.withUnsafeBufferPointer { probe in
                scale.withUnsafeBufferPointer {
                    VectorKernels.buildLUT(
                        probe: probe,
                        planes: oracle.planes,
                        scale: $0,
                        lut: lut.elements,
                        weights: weights.elements
                    )
                }
            }
            #expect(lut.guardsAreIntact && weights.guardsAreIntact)
            return (estimator, lut.values, weights.values)
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

/// Random codes in slots, heads and records each in memory of its own.
struct PackedCodes {
    let codes: [[UInt8]]
    let rowIDs: [UInt32]
    let factors: [UInt16]
    let planeCount: Int
    private let heads: TestBuffer<UInt8>
    private let records: TestBuffer<UInt8>

    init(rowCount: Int, planeCount: Int, offset: Int, _ random: inout SplitMix64) {
        codes = randomCodes(rowCount, planeCount, &random)
        rowIDs = (0..<rowCount).map { _ in UInt32.random(in: 0..<UInt32.max, using: &random) }
        factors = (0..<rowCount).map { _ in Float16(Float.random(in: 0.9...1.6, using: &random)).bitPattern }
        self.planeCount = planeCount
        let slotCount = (rowCount + 15) / 16 * 16
        let headCount = VectorKernels.headCount(planeCount: planeCount)
        let recordByteCount = VectorKernels.recordByteCount(planeCount: planeCount)
        heads = TestBuffer([UInt8](repeating: 0xEE, count: headCount * slotCount * 16), offset: offset)
        records = TestBuffer([UInt8](repeating: 0xEE, count: slotCount * recordByteCount), offset: offset + 1)
        let rows = codes.map { TestBuffer($0, offset: 1) }
        rows.map { UnsafePointer($0.elements.baseAddress!) as Optional }.withUnsafeBufferPointer { rowCodes in
            rowIDs.withUnsafeBufferPointer { rowIDs in
                factors.withUnsafeBufferPointer { factors in
                    VectorKernels.packCodes(
                        rowCodes: rowCodes,
                        rowIDs: rowIDs,
                        factors: factors,
                        planeCount: planeCount,
                        heads: heads.elements.baseAddress!,
                        headStride: slotCount * 16,
                        records: records.elements.baseAddress!
                    )
                }
            }
        }
        withExtendedLifetime(rows) {}
    }

    var slotCount: Int { (codes.count + 15) / 16 * 16 }
    var guardsAreIntact: Bool { heads.guardsAreIntact && records.guardsAreIntact }

    func head(_ plane: Int) -> [UInt8] {
        Array(heads.values[plane * slotCount * 16..<(plane + 1) * slotCount * 16])
    }

    func record(_ slot: Int) -> [UInt8] {
        let byteCount = VectorKernels.recordByteCount(planeCount: planeCount)
        return Array(records.values[slot * byteCount..<(slot + 1) * byteCount])
    }

    func slot(_ slot: Int) -> (rowID: UInt32, factor: UInt16) {
        VectorKernels.slot(slot, records: UnsafePointer(records.elements.baseAddress!), planeCount: planeCount)
    }

    func unpacked(_ slot: Int) -> [UInt8] {
        let out = TestBuffer([UInt8](repeating: 0xFF, count: 16 * planeCount), offset: 1)
        VectorKernels.unpackCode(
            heads: UnsafePointer(heads.elements.baseAddress!),
            headStride: slotCount * 16,
            records: UnsafePointer(records.elements.baseAddress!),
            planeCount: planeCount,
            slot: slot,
            code: out.elements
        )
        #expect(out.guardsAreIntact)
        return out.values
    }

    /// The slots that have rows, as a scan in blocks of `blockGroups` groups meets them: the last block first.
    func slots(blockGroups: Int) -> [Int] {
        stride(from: 0, to: slotCount, by: 16 * blockGroups).reversed().flatMap {
            Array($0..<max($0, min($0 + 16 * blockGroups, codes.count)))
        }
    }

    /// In blocks of `blockGroups` groups, the last block first.
    func scan(
        _ probes: UnsafeMutableBufferPointer<VectorKernels.ScanProbe>,
        blockGroups: Int,
        fetchesAhead: Bool
    ) {
        let recordByteCount = VectorKernels.recordByteCount(planeCount: planeCount)
        let blocks = stride(from: 0, to: slotCount / 16, by: blockGroups).reversed().map { group in
            VectorKernels.CodeBlock(
                heads: UnsafePointer(heads.elements.baseAddress!) + 256 * group,
                headStride: slotCount * 16,
                records: UnsafePointer(records.elements.baseAddress!) + 16 * group * recordByteCount,
                groupCount: min(blockGroups, slotCount / 16 - group)
            )
        }
        blocks.withUnsafeBufferPointer { blocks in
            VectorKernels.scanCodes(
                blocks,
                before: fetchesAhead ? blocks.last?.following : nil,
                planeCount: planeCount,
                probes: probes
            )
        }
    }
}
