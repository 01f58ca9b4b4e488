import Testing
import VectorMath

extension VectorKernelsTests {
    struct Rows {
        /// Every float16 there is.
        @Test func wideningIsExactForEveryHalf() {
            let halves = TestBuffer((0...UInt16.max).map { $0 }, offset: 1)
            VectorKernelsTests.onEveryLevel { level in
                let out = TestBuffer([Float](repeating: -1, count: halves.elements.count), offset: 1)
                VectorKernels.convertToFloat32(halves.readOnly, into: out.elements)
                for (half, float) in zip(halves.elements, out.elements) {
                    let expected = Float(Float16(bitPattern: half))
                    if expected.isNaN {
                        // Quiet, sign and payload kept.
                        let bits = UInt32(half & 0x8000) << 16 | 0x7fc0_0000 | UInt32(half & 0x3ff) << 13
                        #expect(float.bitPattern == bits, "\(level.name), half \(half)")
                    } else if float.bitPattern != expected.bitPattern {
                        Issue.record("\(level.name): half \(half) became \(float)")
                    }
                }
                #expect(out.guardsAreIntact)
            }
        }

        /// Each half, the points halfway to its neighbour, and the floats beside those; then random bit patterns.
        @Test func narrowingRoundsToNearestEven() {
            var random = SplitMix64(seed: testSeed)
            var values: [Float] = [
                0, -0, .infinity, -.infinity, 65_504, 65_519.996, 65_520, -65_520, .greatestFiniteMagnitude,
                .leastNonzeroMagnitude, .leastNormalMagnitude, 0x1p-24, 0x1p-25, 0x1.000002p-25, 0x1p-14,
            ]
            for pattern in stride(from: UInt16(0), to: 0x7bff, by: 3) {
                let half = Float(Float16(bitPattern: pattern))
                let middle = (half + Float(Float16(bitPattern: pattern + 1))) / 2
                values += [half, -half, middle, -middle, middle.nextUp, middle.nextDown]
            }
            values += (0..<20_000).map { _ in Float(bitPattern: UInt32.random(in: 0 ... .max, using: &random)) }
            let input = TestBuffer(values, offset: 1)
            VectorKernelsTests.onEveryLevel { level in
                let out = TestBuffer([UInt16](repeating: 1, count: values.count), offset: 1)
                VectorKernels.convertToFloat16(input.readOnly, into: out.elements)
                for (value, half) in zip(values, out.elements) {
                    let pattern = value.bitPattern
                    let expected =
                        value.isNaN
                        ? UInt16(pattern >> 16 & 0x8000) | 0x7e00 | UInt16(pattern >> 13 & 0x3ff)
                        : Float16(value).bitPattern
                    if half != expected {
                        Issue.record("\(level.name): float bits \(pattern) became \(half), not \(expected)")
                    }
                }
                #expect(out.guardsAreIntact)
            }
        }

        @Test(arguments: [0, 1, 7, 8, 15, 16, 17, 31, 100])
        func conversionsCoverEveryTail(count: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(count))
            let values = random.gaussians(count)
            VectorKernelsTests.onEveryLevel { level in
                let halves = TestBuffer([UInt16](repeating: 0, count: count), offset: 3)
                let floats = TestBuffer([Float](repeating: 0, count: count), offset: 3)
                values.withUnsafeBufferPointer { VectorKernels.convertToFloat16($0, into: halves.elements) }
                VectorKernels.convertToFloat32(halves.readOnly, into: floats.elements)
                #expect(floats.values == values.map { Float(Float16($0)) }, "\(level.name), seed \(testSeed)")
                #expect(halves.guardsAreIntact && floats.guardsAreIntact)
            }
        }

        @Test(arguments: [1, 8, 64, 72, 128, 512, 2048])
        func rowsBecomeUnitLength(dimension: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension))
            let original = (0..<5).flatMap { random.gaussians(dimension, scale: [0.01, 1, 300, 7, 1e-3][$0]) }
            let rows = TestBuffer(original, offset: 1)
            let status = TestBuffer([UInt8](repeating: 9, count: 5))
            VectorKernels.normalise(rows: rows.elements, dimension: dimension, status: status.elements)
            #expect(status.values == [UInt8](repeating: RowStatus.normalised.rawValue, count: 5))
            for row in 0..<5 {
                let range = row * dimension..<(row + 1) * dimension
                let before = original[range].map { Double($0) }
                let norm = before.reduce(0) { $0 + $1 * $1 }.squareRoot()
                for (value, source) in zip(rows.values[range], before) {
                    // One rounding to float, and a last place of the double before it.
                    #expect(abs(Double(value) - source / norm) <= abs(source / norm) * 0x1p-23, "seed \(testSeed)")
                }
            }
            #expect(rows.guardsAreIntact && status.guardsAreIntact)
        }

        @Test func rejectedRowsKeepTheirValues() {
            let dimension = 24
            func row(_ value: Float, at index: Int, rest: Float) -> [Float] {
                var row = [Float](repeating: rest, count: dimension)
                row[index] = value
                return row
            }
            let rejected: [([Float], RowStatus)] = [
                (row(.nan, at: 0, rest: 1), .notFinite),
                (row(.nan, at: 23, rest: 0), .notFinite),
                (row(.infinity, at: 17, rest: 1), .notFinite),
                (row(-.infinity, at: 5, rest: .infinity), .notFinite),
                (row(0, at: 0, rest: 0), .badNorm),
                (row(-0, at: 3, rest: 0), .badNorm),
                (row(0.99e-6, at: 9, rest: 0), .badNorm),
                (row(.leastNonzeroMagnitude, at: 9, rest: 0), .badNorm),
                (row(1.01e6, at: 20, rest: 0), .badNorm),
                (row(.greatestFiniteMagnitude, at: 2, rest: .greatestFiniteMagnitude), .badNorm),
            ]
            let accepted: [[Float]] = [row(1.01e-6, at: 9, rest: 0), row(-0.99e6, at: 20, rest: 0)]
            let rows = TestBuffer(rejected.flatMap(\.0) + accepted.flatMap { $0 })
            let status = TestBuffer([UInt8](repeating: 9, count: rejected.count + accepted.count))
            VectorKernels.normalise(rows: rows.elements, dimension: dimension, status: status.elements)
            #expect(status.values == rejected.map(\.1.rawValue) + [0, 0])
            #expect(bits(rows.values.prefix(rejected.count * dimension)) == bits(rejected.flatMap(\.0)))
            #expect(rows.values.suffix(2 * dimension).filter { $0 != 0 } == [1, -1])
        }

        @Test func noRowsIsNoWork() {
            let nothing = UnsafeMutableBufferPointer<Float>(start: nil, count: 0)
            VectorKernels.normalise(
                rows: nothing,
                dimension: 512,
                status: UnsafeMutableBufferPointer(start: nil, count: 0)
            )
            VectorKernels.dotFloat32(
                probes: UnsafeBufferPointer(nothing),
                rows: UnsafeBufferPointer(nothing),
                dimension: 8,
                out: nothing
            )
        }
    }
}
