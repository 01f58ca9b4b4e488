import Testing
import VectorMath

extension VectorKernelsTests {
    struct RoundedRows {
        /// How the components of a case are drawn.
        enum Kind: CaseIterable {
            case gaussian
            /// Most components far below the greatest one.
            case heavyTailed
            case tiny
            case large
            /// Few values, each halfway between two int8.
            case halves
            case sparse

            func row(_ dimension: Int, _ random: inout SplitMix64) -> [Float] {
                switch self {
                case .gaussian: random.gaussians(dimension, scale: 0.044)
                case .heavyTailed: random.gaussians(dimension, scale: 0.5).map { $0 * $0 * $0 * $0 * $0 }
                case .tiny: random.gaussians(dimension, scale: 0x1p-90)
                case .large: random.gaussians(dimension, scale: 1e6)
                case .halves:
                    (0..<dimension).map { $0 == 0 ? 127 : Float(Int.random(in: -126...126, using: &random)) + 0.5 }
                case .sparse: (0..<dimension).map { _ in Int.random(in: 0..<9, using: &random) == 0 ? 0.3 : 0 }
                }
            }
        }

        /// Rows and what rounding says of them.
        struct Rounded {
            let dimension: Int
            let rows: TestBuffer<Float>
            let values: TestBuffer<Int8>
            let scales: TestBuffer<Float>
            let errors: TestBuffer<Float>
            let norms: TestBuffer<Float>

            init(_ rows: [Float], dimension: Int, offset: Int = 0) {
                self.dimension = dimension
                let rowCount = rows.count / dimension
                self.rows = TestBuffer(rows, offset: offset)
                values = TestBuffer([Int8](repeating: 99, count: rows.count), offset: offset)
                scales = TestBuffer([Float](repeating: .nan, count: rowCount), offset: offset)
                errors = TestBuffer([Float](repeating: .nan, count: rowCount), offset: offset)
                norms = TestBuffer([Float](repeating: .nan, count: rowCount), offset: offset)
                VectorKernels.roundRows(
                    self.rows.readOnly,
                    dimension: dimension,
                    into: values.elements,
                    scales: scales.elements,
                    errors: errors.elements,
                    norms: norms.elements
                )
            }

            var guardsAreIntact: Bool {
                values.guardsAreIntact && scales.guardsAreIntact && errors.guardsAreIntact && norms.guardsAreIntact
            }

            /// What the inner product of a probe and each row is at least and at most.
            func bounds(_ probe: [Float]) -> [VectorKernels.ProductBounds] {
                let rounded = TestBuffer([Int8](repeating: 0, count: dimension))
                let rounding = probe.withUnsafeBufferPointer { VectorKernels.roundProbe($0, into: rounded.elements) }
                let products = TestBuffer([Int32](repeating: -1, count: scales.elements.count))
                VectorKernels.dotInt8(
                    probes: rounded.readOnly,
                    rows: values.readOnly,
                    dimension: dimension,
                    out: products.elements
                )
                return scales.values.indices.map { row in
                    VectorKernels.bounds(
                        product: products.values[row],
                        scale: scales.values[row],
                        error: errors.values[row],
                        norm: norms.values[row],
                        probe: rounding
                    )
                }
            }

            /// The rows that may have an inner product of `least` or more with a probe.
            func reaching(_ probe: [Float], least: Float) -> [UInt32] {
                let rounded = TestBuffer([Int8](repeating: 0, count: dimension))
                let rounding = probe.withUnsafeBufferPointer { VectorKernels.roundProbe($0, into: rounded.elements) }
                let products = TestBuffer([Int32](repeating: -1, count: scales.elements.count))
                VectorKernels.dotInt8(
                    probes: rounded.readOnly,
                    rows: values.readOnly,
                    dimension: dimension,
                    out: products.elements
                )
                let reaching = TestBuffer([UInt32](repeating: .max, count: products.elements.count))
                let count = VectorKernels.reachingRows(
                    products: products.readOnly,
                    scales: scales.readOnly,
                    errors: errors.readOnly,
                    norms: norms.readOnly,
                    probe: rounding,
                    least: least,
                    into: reaching.elements
                )
                #expect(reaching.guardsAreIntact)
                return Array(reaching.values[..<count])
            }
        }

        /// An inner product, as any level computes it, is between its bounds, and these are as far apart as the
        /// roundings say.
        @Test(arguments: Kind.allCases, [8, 72, 512, 2048])
        func anInnerProductIsBetweenItsBounds(kind: Kind, dimension: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension) &+ 4)
            let rows = (0..<17).map { _ in kind.row(dimension, &random) }
            let rounded = Rounded(rows.flatMap { $0 }, dimension: dimension)
            let probes = [Kind.gaussian.row(dimension, &random), kind.row(dimension, &random), rows[3].map { -$0 }]
            VectorKernelsTests.onEveryLevel { level in
                for probe in probes {
                    for (row, bounds) in rounded.bounds(probe).enumerated() {
                        let sum = laneSum(probe, rows[row])
                        let comment = Comment(rawValue: "\(level.name), \(kind), row \(row), seed \(testSeed)")
                        #expect(bounds.least <= sum && sum <= bounds.greatest, comment)
                        let reaching = rounded.reaching(probe, least: bounds.greatest)
                        #expect(reaching.contains(UInt32(row)), comment)
                        #expect(!rounded.reaching(probe, least: bounds.greatest.nextUp).contains(UInt32(row)), comment)
                    }
                }
            }
        }

        @Test(arguments: Kind.allCases, [8, 72, 512, 2048])
        func whatIsStoredOfARoundingIsNotBelowIt(kind: Kind, dimension: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension))
            let rows = (0..<19).flatMap { _ in kind.row(dimension, &random) }
            let rounded = Rounded(rows, dimension: dimension, offset: 1)
            #expect(rounded.guardsAreIntact)
            for row in 0..<19 {
                let scale = Double(rounded.scales.values[row])
                var squares = 0.0
                var errors = 0.0
                for index in row * dimension..<(row + 1) * dimension {
                    let value = Double(rows[index])
                    let error = value - scale * Double(rounded.values.values[index])
                    #expect(abs(error) <= scale * 0.5001, "seed \(testSeed)")
                    squares += value * value
                    errors += error * error
                }
                let error = Double(rounded.errors.values[row])
                let norm = Double(rounded.norms.values[row])
                let comment = Comment(rawValue: "\(kind), seed \(testSeed), row \(row)")
                #expect(error >= errors.squareRoot() && error <= errors.squareRoot() * 1.00001, comment)
                #expect(norm >= squares.squareRoot() + errors.squareRoot(), comment)
                #expect(norm <= max(0x1p-60, (squares.squareRoot() + errors.squareRoot()) * 1.00001), comment)
            }
        }

        /// Every row reaches its own inner product, as any level computes it.
        @Test(arguments: Kind.allCases, [8, 72, 512, 2048])
        func aRowReachesItsInnerProduct(kind: Kind, dimension: Int) {
            var random = SplitMix64(seed: testSeed &+ UInt64(dimension) &+ 1)
            for rowCount in [1, 15, 16, 17, 130] {
                let rows = (0..<rowCount).map { _ in kind.row(dimension, &random) }
                let rounded = Rounded(rows.flatMap { $0 }, dimension: dimension)
                // A stranger, a row, its opposite, a row's neighbour.
                let probes = [
                    Kind.gaussian.row(dimension, &random), kind.row(dimension, &random), rows[0], rows[0].map { -$0 },
                    rows[rowCount - 1].map { $0 * 0.97 },
                ]
                VectorKernelsTests.onEveryLevel { level in
                    for probe in probes {
                        let sums = rows.map { laneSum(probe, $0) }
                        for row in [0, rowCount / 3, rowCount - 1] {
                            let sum = sums[row]
                            let reaching = rounded.reaching(probe, least: sum)
                            let expected = sums.indices.filter { sums[$0] >= sum }.map { UInt32($0) }
                            #expect(
                                Set(reaching).isSuperset(of: expected),
                                "\(level.name), \(kind), row \(row) of \(rowCount), seed \(testSeed)"
                            )
                            #expect(reaching == reaching.sorted())
                        }
                    }
                }
            }
        }

        /// The rest of a row points where the probe does: the bound is met, and hardly exceeded.
        @Test(arguments: [64, 512, 2048])
        func theBoundIsMetByRestsThatPointAlongTheProbe(dimension: Int) {
            var random = SplitMix64(seed: testSeed &+ 2)
            let signs = (0..<dimension).map { _ in Bool.random(using: &random) ? Float(1) : -1 }
            // A probe of one absolute value leaves no rest.
            let probe = signs.map { $0 / Float(dimension).squareRoot() }
            // Rests of 0.49 steps with the probe's signs.
            let row = signs.enumerated().map { index, sign in
                index == 0 ? 127 : Float(Int.random(in: -126...125, using: &random)) + 0.49 * sign
            }
            let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
            let rounded = Rounded(row.map { $0 / norm }, dimension: dimension)
            let sum = laneSum(probe, row.map { $0 / norm })
            #expect(rounded.reaching(probe, least: sum) == [0])
            // 0.49 of a step for each component, and what roundings may take.
            #expect(rounded.reaching(probe, least: sum + 0.02 * rounded.errors.values[0] + 2e-5) == [])
            // Half of the rest, were it not for the bound.
            #expect(rounded.reaching(probe, least: sum - rounded.errors.values[0] / 2) == [0])
        }

        /// Rows whose rests point away from each other are told apart by as much as both bounds, not more.
        @Test func rowsFarBelowAreNotReached() {
            var random = SplitMix64(seed: testSeed &+ 3)
            let rows = (0..<500).map { _ in
                let row = Kind.gaussian.row(512, &random)
                let norm = row.reduce(0) { $0 + $1 * $1 }.squareRoot()
                return row.map { $0 / norm }
            }
            let rounded = Rounded(rows.flatMap { $0 }, dimension: 512)
            let sums = rows.map { laneSum(rows[7], $0) }
            // Errors of two unit vectors of 512 gaussians are about 0.0075 each; twice their sum lies between.
            let reaching = rounded.reaching(rows[7], least: 0.15)
            #expect(reaching.contains(7))
            #expect(reaching.allSatisfy { sums[Int($0)] > 0.15 - 0.04 }, "seed \(testSeed)")
            #expect(reaching.count < 50)
        }

        @Test func rowsThatAreNotFiniteOrZero() {
            var rows = [Float](repeating: 0.1, count: 4 * 64)
            rows[3] = .nan
            rows[64 + 63] = -.infinity
            for index in 128..<192 { rows[index] = 0 }
            let rounded = Rounded(rows, dimension: 64)
            let probe = [Float](repeating: 0.125, count: 64)
            #expect(rounded.reaching(probe, least: 1e30) == [0, 1])
            #expect(rounded.reaching(probe, least: 0) == [0, 1, 2, 3])
            #expect(rounded.reaching(probe, least: 0.001) == [0, 1, 3])
            #expect(rounded.reaching([Float](repeating: .nan, count: 64), least: 2) == [0, 1, 2, 3])
            #expect(rounded.bounds(probe)[..<2].allSatisfy { $0 == .unknown })
            #expect(rounded.bounds([Float](repeating: .nan, count: 64)).allSatisfy { $0 == .unknown })
            #expect(Rounded([], dimension: 64).reaching(probe, least: 0) == [])
        }
    }
}
