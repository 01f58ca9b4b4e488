import Testing
import VectorMath

extension VectorKernelsTests {
    struct Scan {
        /// How thresholds of a case are drawn.
        enum Thresholds: CaseIterable {
            /// Everything survives.
            case none
            /// Nothing leaves early; about a tenth survives.
            case lastOnly
            /// Groups leave at every plane.
            case everyPlane
            /// Some planes have one, some have not, differently per probe.
            case mixed
            /// Nothing survives.
            case unreachable
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

        @Test(arguments: [(4, 4), (8, 1)])
        func theLongestScanFitsItsBuffers(planeCount: Int, probeCount: Int) {
            for kind in Thresholds.allCases {
                check(planeCount, probeCount, rowCount: 1024, kind, seed: testSeed &+ 7)
                check(planeCount, probeCount, rowCount: 1009, kind, seed: testSeed &+ 8)
            }
        }

        /// All entries 255: the greatest sum there is, one below, at and above the threshold.
        @Test(arguments: 1...8)
        func greatestSumsDoNotWrap(planeCount: Int) {
            var random = SplitMix64(seed: testSeed)
            let codes = randomCodes(20, planeCount, &random)
            let lut = [UInt8](repeating: 255, count: 512 * planeCount)
            let partial = (1...planeCount).map { Int32($0 * 32 * 255) }
            for delta: Int32 in [-1, 0, 1] {
                let thresholds = partial.map { $0 + delta }
                let survives = delta < 0
                VectorKernelsTests.onEveryLevel { level in
                    let found = scan(
                        codes,
                        planeCount,
                        groupCount: 2,
                        rowCount: 20,
                        luts: [lut],
                        thresholds: [thresholds]
                    )
                    #expect(found[0].rows == (survives ? Array(0..<20) : []), "\(level.name), \(delta)")
                    #expect(found[0].scores.allSatisfy { $0 == partial[planeCount - 1] }, "\(level.name)")
                }
            }
        }

        /// Rows that exist may be fewer than the groups hold, down to none of the last groups.
        @Test func rowsBeyondTheCountNeverSurvive() {
            var random = SplitMix64(seed: testSeed)
            let codes = randomCodes(64, 4, &random)
            let lut = randomLUT(4, &random)
            for rowCount in 0...64 {
                VectorKernelsTests.onEveryLevel { level in
                    let found = scan(
                        codes,
                        4,
                        groupCount: 4,
                        rowCount: rowCount,
                        luts: [lut],
                        thresholds: [[-1, -1, -1, -1]]
                    )
                    #expect(found[0].rows == Array(0..<UInt32(rowCount)), "\(level.name)")
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
            let codes = randomCodes(rowCount, planeCount, &random)
            let luts = (0..<probeCount).map { _ in randomLUT(planeCount, &random) }
            let thresholds = luts.map { lut in
                (0..<planeCount).map { plane in
                    threshold(kind, codes: codes, lut: lut, plane: plane, of: planeCount, &random)
                }
            }
            let groupCount = (rowCount + 15) / 16
            let expected = zip(luts, thresholds).map {
                CodeOracle.scan(
                    codes: codes,
                    planeCount: planeCount,
                    groupCount: groupCount,
                    rowCount: rowCount,
                    lut: $0,
                    thresholds: $1
                )
            }
            VectorKernelsTests.onEveryLevel { level in
                let found = scan(
                    codes,
                    planeCount,
                    groupCount: groupCount,
                    rowCount: rowCount,
                    luts: luts,
                    thresholds: thresholds
                )
                for probe in 0..<probeCount {
                    #expect(found[probe].rows == expected[probe].rows, "\(level.name), \(kind), seed \(seed)")
                    #expect(found[probe].scores == expected[probe].scores, "\(level.name), \(kind), seed \(seed)")
                }
            }
        }

        /// A threshold near the sums that really occur after `plane`.
        private func threshold(
            _ kind: Thresholds,
            codes: [[UInt8]],
            lut: [UInt8],
            plane: Int,
            of planeCount: Int,
            _ random: inout SplitMix64
        ) -> Int32 {
            let isLast = plane == planeCount - 1
            let sums = codes.map { code in
                (0...plane).reduce(0) { $0 + CodeOracle.planeSum(code, lut: lut, plane: $1) }
            }.sorted()
            func quantile(_ share: Double) -> Int32 {
                sums.isEmpty ? 0 : Int32(sums[min(sums.count - 1, Int(share * Double(sums.count)))])
            }
            return switch kind {
            case .none: -1
            case .lastOnly: isLast ? quantile(0.9) : -1
            case .everyPlane: quantile(0.95)
            case .mixed: Bool.random(using: &random) ? -1 : quantile(Double.random(in: 0.5...1, using: &random))
            case .unreachable: isLast ? Int32.max : -1
            }
        }

        /// Tables that make rows differ: entries of every size.
        private func randomLUT(_ planeCount: Int, _ random: inout SplitMix64) -> [UInt8] {
            (0..<512 * planeCount).map { _ in UInt8.random(in: 0...255, using: &random) }
        }

        /// One call of the kernel over memory with guards, nothing aligned.
        private func scan(
            _ codes: [[UInt8]],
            _ planeCount: Int,
            groupCount: Int,
            rowCount: Int,
            luts: [[UInt8]],
            thresholds: [[Int32]]
        ) -> [(rows: [UInt32], scores: [UInt16])] {
            let planes = PackedPlanes(codes: codes, planeCount: planeCount, offset: 5)
            let lutBuffers = luts.map { TestBuffer($0, offset: 3) }
            let rows = luts.map { _ in TestBuffer([UInt32](repeating: 7, count: 16 * groupCount), offset: 1) }
            let scores = luts.map { _ in TestBuffer([UInt16](repeating: 7, count: 16 * groupCount), offset: 1) }
            let counts = TestBuffer([Int](repeating: -1, count: luts.count))
            let lutPointers = lutBuffers.map { UnsafePointer($0.elements.baseAddress) }
            let lutTable = TestBuffer(lutPointers)
            let thresholdTable = TestBuffer(thresholds.flatMap { $0 })
            let rowTable = TestBuffer(rows.map(\.elements.baseAddress))
            let scoreTable = TestBuffer(scores.map(\.elements.baseAddress))
            planes.withPointers { planes in
                VectorKernels.scanCodes(
                    planes: planes,
                    groupCount: groupCount,
                    rowCount: rowCount,
                    luts: lutTable.readOnly,
                    thresholds: thresholdTable.readOnly,
                    rowsOut: rowTable.readOnly,
                    scoresOut: scoreTable.readOnly,
                    countsOut: counts.elements
                )
            }
            withExtendedLifetime((lutBuffers, lutTable, thresholdTable, rowTable, scoreTable)) {}
            #expect((rows.map(\.guardsAreIntact) + scores.map(\.guardsAreIntact)).allSatisfy { $0 })
            return luts.indices.map { probe in
                let count = counts.values[probe]
                return (Array(rows[probe].values.prefix(count)), Array(scores[probe].values.prefix(count)))
            }
        }
    }
}
