import Testing
import VectorMath

extension VectorKernelsTests {
    struct Scan {
        /// How thresholds of a case are drawn.
        enum Thresholds: CaseIterable {
            /// Everything is found.
            case none
            /// All records are read; about a tenth is found.
            case wholeOnly
            /// About a tenth passes the heads; all that does is found.
            case headsOnly
            case both
            /// Nothing passes the heads.
            case unreachable
        }

        /// What is looked up for one probe.
        struct Tables {
            var lut: [UInt8]
            var weights: [Int8]
            var estimator: VectorKernels.Estimator
            var meanTerm: Float
            var headThreshold: Int32 = -1
            var leastEstimate = -Float.infinity
        }

        @Test(arguments: 1...8, 1...4)
        func everyLevelFindsTheRowsOfTheDefinition(planeCount: Int, probeCount: Int) {
            for (n, kind) in Thresholds.allCases.enumerated() {
                for rowCount in [0, 1, 15, 16, 17, 131] {
                    let seed = testSeed &+ UInt64(1000 * planeCount + 100 * probeCount + 10 * n + rowCount)
                    check(planeCount, probeCount, rowCount: rowCount, kind, seed: seed)
                }
            }
        }

        @Test(arguments: [(5, 4), (8, 1)])
        func theLongestScanFitsItsBuffers(planeCount: Int, probeCount: Int) {
            for kind in Thresholds.allCases {
                check(planeCount, probeCount, rowCount: 1024, kind, seed: testSeed &+ 7)
                check(planeCount, probeCount, rowCount: 1009, kind, seed: testSeed &+ 8)
            }
        }

        /// Entries of 255 and weights of either end: the greatest sums there are, one below, at and above thresholds.
        @Test(arguments: 1...8)
        func greatestSumsDoNotWrap(planeCount: Int) {
            var random = SplitMix64(seed: testSeed)
            let codes = PackedCodes(rowCount: 20, planeCount: planeCount, offset: 5, &random)
            for weight: Int8 in [127, -127] {
                var tables = randomTables(planeCount, &random)
                tables.lut = tables.lut.map { _ in 255 }
                tables.weights = tables.weights.map { _ in weight }
                let headSum = Int32(min(2, planeCount) * 32 * 255)
                for delta: Int32 in [-1, 0, 1] {
                    tables.headThreshold = headSum + delta
                    check(codes, [tables], "weights \(weight), \(delta)")
                    #expect(expected(codes, tables).rows.isEmpty == (delta >= 0))
                }
            }
        }

        private func check(
            _ planeCount: Int,
            _ probeCount: Int,
            rowCount: Int,
            _ kind: Thresholds,
            seed: UInt64
        ) {
            var random = SplitMix64(seed: seed)
            let codes = PackedCodes(rowCount: rowCount, planeCount: planeCount, offset: 5, &random)
            let tables = (0..<probeCount).map { _ in
                var tables = randomTables(planeCount, &random)
                // Of one row, so that it meets the threshold exactly.
                func quantile<Value: Comparable>(_ values: [Value]) -> Value? {
                    values.sorted().dropFirst(values.count * 9 / 10).first
                }
                if kind == .wholeOnly || kind == .both {
                    tables.leastEstimate = quantile(expected(codes, tables).estimates) ?? 0
                }
                if kind == .headsOnly || kind == .both {
                    let sums = codes.codes.map { CodeOracle.headSum($0, lut: tables.lut, planeCount: planeCount) }
                    tables.headThreshold = Int32(quantile(sums) ?? 0) - Int32.random(in: 0...1, using: &random)
                }
                if kind == .unreachable { tables.headThreshold = Int32.max }
                return tables
            }
            check(codes, tables, "\(kind), seed \(seed)")
        }

        /// In blocks of several lengths.
        private func check(_ codes: PackedCodes, _ tables: [Tables], _ what: String) {
            let blockGroups = [64, 1, 3][(codes.slotCount / 16 + tables.count) % 3]
            VectorKernelsTests.onEveryLevel { level in
                let found = scan(codes, tables, blockGroups: blockGroups)
                for (found, tables) in zip(found, tables) {
                    let expected = expected(codes, tables, blockGroups: blockGroups)
                    #expect(found.rows == expected.rows, "\(level.name), \(what)")
                    #expect(bits(found.estimates) == bits(expected.estimates), "\(level.name), \(what)")
                }
            }
        }

        /// What must be found for one probe, by the definition.
        private func expected(
            _ codes: PackedCodes,
            _ tables: Tables,
            blockGroups: Int = 64
        ) -> (rows: [UInt32], estimates: [Float]) {
            var rows: [UInt32] = []
            var estimates: [Float] = []
            for slot in codes.slots(blockGroups: blockGroups) {
                let code = codes.codes[slot]
                let headSum = CodeOracle.headSum(code, lut: tables.lut, planeCount: codes.planeCount)
                guard headSum > Int(tables.headThreshold) else { continue }
                let sum = headSum + CodeOracle.tailSum(code, weights: tables.weights, planeCount: codes.planeCount)
                let product = tables.estimator.step * Float(sum)
                let estimate =
                    tables.meanTerm + Float(Float16(bitPattern: codes.factors[slot]))
                    * (product + tables.estimator.bias)
                guard estimate >= tables.leastEstimate else { continue }
                rows.append(codes.rowIDs[slot])
                estimates.append(estimate)
            }
            return (rows, estimates)
        }

        /// Tables that make rows differ: entries of every size.
        private func randomTables(_ planeCount: Int, _ random: inout SplitMix64) -> Tables {
            let headCount = min(2, planeCount)
            return Tables(
                lut: (0..<512 * headCount).map { _ in UInt8.random(in: 0...255, using: &random) },
                weights: (0..<128 * (planeCount - headCount)).map { _ in Int8.random(in: -127...127, using: &random) },
                estimator: VectorKernels.Estimator(
                    step: Float.random(in: 0.0001...0.001, using: &random),
                    headBias: 0,
                    bias: Float.random(in: -1...0, using: &random)
                ),
                meanTerm: Float.random(in: -0.1...0.1, using: &random)
            )
        }

        /// One call of the kernel over memory with guards, nothing aligned.
        private func scan(
            _ codes: PackedCodes,
            _ tables: [Tables],
            blockGroups: Int
        ) -> [(rows: [UInt32], estimates: [Float])] {
            let luts = tables.map { TestBuffer($0.lut, offset: 3) }
            let weights = tables.map { TestBuffer($0.weights, offset: 3) }
            let rows = tables.map { _ in TestBuffer([UInt32](repeating: 7, count: codes.slotCount), offset: 1) }
            let estimates = tables.map { _ in TestBuffer([Float](repeating: 7, count: codes.slotCount), offset: 1) }
            let probes = TestBuffer(
                tables.indices.map { n in
                    var probe = VectorKernels.ScanProbe(
                        lut: UnsafePointer(luts[n].elements.baseAddress!),
                        weights: UnsafePointer(weights[n].elements.baseAddress!),
                        estimator: tables[n].estimator,
                        meanTerm: tables[n].meanTerm
                    )
                    probe.headThreshold = tables[n].headThreshold
                    probe.leastEstimate = tables[n].leastEstimate
                    return probe.writing(
                        rowIDs: rows[n].elements.baseAddress!,
                        estimates: estimates[n].elements.baseAddress!
                    )
                }
            )
            codes.scan(probes.elements, blockGroups: blockGroups, fetchesAhead: tables.count > 1)
            #expect((rows.map(\.guardsAreIntact) + estimates.map(\.guardsAreIntact)).allSatisfy { $0 })
            return withExtendedLifetime((luts, weights, rows, estimates)) {
                probes.values.map { (Array($0.rowIDs), Array($0.estimates)) }
            }
        }
    }
}
