import Testing
import VectorMath

extension VectorKernelsTests {
    struct InnerProducts {
        /// Odd numbers of rows and probes, more rows than one piece, tails of 8.
        static let shapes: [(dimension: Int, probes: Int, rows: Int)] = [
            (8, 1, 1), (8, 3, 5), (64, 4, 7), (72, 5, 33), (128, 2, 17), (256, 9, 301), (512, 4, 70), (512, 1, 0),
            (512, 0, 3), (520, 1, 7), (520, 3, 7), (2048, 6, 19), (2048, 13, 70),
        ]

        @Test(arguments: shapes)
        func floatsFollowTheStatedOrderOnEveryLevel(dimension: Int, probes: Int, rows: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension))
            let probeValues = random.gaussians(probes * dimension)
            let rowValues = random.gaussians(rows * dimension)
            let expected = allPairs(probeValues, rowValues, dimension)
            VectorKernelsTests.onEveryLevel { level in
                for offset in [0, 1, 3] {
                    let probeBuffer = TestBuffer(probeValues, offset: offset)
                    let rowBuffer = TestBuffer(rowValues, offset: offset * 2)
                    let out = TestBuffer([Float](repeating: .nan, count: probes * rows), offset: offset)
                    VectorKernels.dotFloat32(
                        probes: probeBuffer.readOnly,
                        rows: rowBuffer.readOnly,
                        dimension: dimension,
                        out: out.elements
                    )
                    #expect(bits(out.values) == bits(expected), "\(level.name), offset \(offset), seed \(testSeed)")
                    #expect(out.guardsAreIntact)
                }
            }
        }

        @Test(arguments: shapes)
        func halvesFollowTheStatedOrderOnEveryLevel(dimension: Int, probes: Int, rows: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension) &+ 1)
            let probeValues = random.gaussians(probes * dimension)
            let halves = random.gaussians(rows * dimension, scale: 0.05).map { Float16($0) }
            let expected = allPairs(probeValues, halves.map { Float($0) }, dimension)
            VectorKernelsTests.onEveryLevel { level in
                for offset in [0, 1, 5] {
                    let probeBuffer = TestBuffer(probeValues, offset: offset)
                    let rowBuffer = TestBuffer(halves.map(\.bitPattern), offset: offset)
                    let out = TestBuffer([Float](repeating: .nan, count: probes * rows), offset: offset)
                    VectorKernels.dotFloat16(
                        probes: probeBuffer.readOnly,
                        rows: rowBuffer.readOnly,
                        dimension: dimension,
                        out: out.elements
                    )
                    #expect(bits(out.values) == bits(expected), "\(level.name), offset \(offset), seed \(testSeed)")
                    #expect(out.guardsAreIntact)
                }
            }
        }

        @Test(arguments: [0, 1, 3, 4, 5, 40], [8, 72, 512])
        func gathersEqualTheBlockForm(rows: Int, dimension: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(rows))
            let probe = random.gaussians(dimension)
            let halves = TestBuffer(random.gaussians(50 * dimension).map { Float16($0).bitPattern }, offset: 1)
            let floats = TestBuffer(random.gaussians(50 * dimension), offset: 1)
            let picks = (0..<rows).map { _ in Int.random(in: 0..<50, using: &random) }
            let halfPointers = picks.map { UnsafePointer(halves.elements.baseAddress! + $0 * dimension) as Optional }
            let floatPointers = picks.map { UnsafePointer(floats.elements.baseAddress! + $0 * dimension) as Optional }
            let expectedOfHalves = picks.map { pick in
                laneSum(
                    probe,
                    halves.values[pick * dimension..<(pick + 1) * dimension].map { Float(Float16(bitPattern: $0)) }
                )
            }
            let expectedOfFloats = picks.map { laneSum(probe, floats.values[$0 * dimension..<($0 + 1) * dimension]) }
            VectorKernelsTests.onEveryLevel { level in
                let out = TestBuffer([Float](repeating: .nan, count: rows))
                probe.withUnsafeBufferPointer { probe in
                    halfPointers.withUnsafeBufferPointer {
                        VectorKernels.dotFloat16Gather(probe: probe, rows: $0, out: out.elements)
                    }
                    #expect(bits(out.values) == bits(expectedOfHalves), "\(level.name), seed \(testSeed)")
                    floatPointers.withUnsafeBufferPointer {
                        VectorKernels.dotFloat32Gather(probe: probe, rows: $0, out: out.elements)
                    }
                }
                #expect(bits(out.values) == bits(expectedOfFloats), "\(level.name), seed \(testSeed)")
                #expect(out.guardsAreIntact)
            }
        }

        @Test(arguments: shapes)
        func bytesAreExactOnEveryLevel(dimension: Int, probes: Int, rows: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension) &+ 2)
            let probeValues = (0..<probes * dimension).map { _ in Int8.random(in: .min ... .max, using: &random) }
            let rowValues = (0..<rows * dimension).map { _ in Int8.random(in: .min ... .max, using: &random) }
            expectExactBytes(probeValues, rowValues, dimension)
        }

        @Test func bytesAtTheirLimitsDoNotOverflow() {
            for (probe, row) in [(Int8.min, Int8.min), (.max, .min), (.min, .max), (.max, .max)] {
                expectExactBytes(
                    [Int8](repeating: probe, count: 65_536),
                    [Int8](repeating: row, count: 65_536),
                    65_536
                )
            }
        }

        private func expectExactBytes(_ probeValues: [Int8], _ rowValues: [Int8], _ dimension: Int) {
            var expected: [Int32] = []
            for probe in stride(from: 0, to: probeValues.count, by: dimension) {
                for row in stride(from: 0, to: rowValues.count, by: dimension) {
                    expected.append(
                        (0..<dimension).reduce(0) { $0 + Int32(probeValues[probe + $1]) * Int32(rowValues[row + $1]) }
                    )
                }
            }
            VectorKernelsTests.onEveryLevel { level in
                for offset in [0, 1, 7] {
                    let probeBuffer = TestBuffer(probeValues, offset: offset)
                    let rowBuffer = TestBuffer(rowValues, offset: 2 * offset)
                    let out = TestBuffer([Int32](repeating: -1, count: expected.count), offset: offset)
                    VectorKernels.dotInt8(
                        probes: probeBuffer.readOnly,
                        rows: rowBuffer.readOnly,
                        dimension: dimension,
                        out: out.elements
                    )
                    #expect(out.values == expected, "\(level.name), offset \(offset), seed \(testSeed)")
                    #expect(out.guardsAreIntact)
                }
            }
        }

        private func allPairs(_ probes: [Float], _ rows: [Float], _ dimension: Int) -> [Float] {
            var products: [Float] = []
            for probe in stride(from: 0, to: probes.count, by: dimension) {
                for row in stride(from: 0, to: rows.count, by: dimension) {
                    products.append(
                        laneSum(probes[probe..<probe + dimension], rows[row..<row + dimension])
                    )
                }
            }
            return products
        }
    }
}
