import Checksum
import VectorMath

/// Times of the vector kernels on rows in cache and on rows that come from memory, one thread.
@safe
final class KernelBench {
    /// What one call reads.
    enum Place: String, CaseIterable {
        case cache
        case memory
    }

    struct Kernel: Sendable {
        let name: String
        let probeCount: Int
        /// Bytes of one row, as far as the kernel reads all of them.
        let rowByteCount: Int
        /// Bytes from one row to the next, a power of two.
        var rowSpan = KernelBench.halfRowByteCount
        /// Passes over `count` rows from a place of the memory on.
        fileprivate let run: @Sendable (KernelBench, _ firstRow: Int, _ count: Int) -> Void

        /// Rows of a pass in cache: as many bytes as a block of a scan has.
        fileprivate var cachedRowCount: Int { KernelBench.cachedRowCount * KernelBench.halfRowByteCount / rowSpan }
    }

    static let dimension = 512
    /// Components of a centroid: two segments.
    private static let centroidDimension = 256
    /// Components that a code of ``planes`` holds.
    private static let codedDimension = 384
    /// Bytes of a row's product, scale, error and norm.
    private static let boundByteCount = 16
    /// Bytes from one row-major code to the next.
    private static let codeSpan = 128
    /// Rows of a pass in cache: one block of a scan.
    private static let cachedRowCount = 1024
    private static let halfRowByteCount = 2 * dimension
    private static let planeCount = 5
    /// Share of the slots whose records a scan reads: what a search leaves.
    static let passedShare = 0.03
    /// Deviations of a normal distribution above which that share lies.
    private static let passedDeviations = 1.8808
    /// Blocks of which passing slots are counted.
    private static let countedBlockCount = 64
    /// Bytes from one slot to the next, heads and record, and room up to a power of two.
    private static let slotSpan = 128

    /// More than any cache of the machine holds: float16 in its first half, bytes of any value in its second.
    private let memory: UnsafeMutableRawBufferPointer
    private let probes: UnsafeMutableBufferPointer<Float>
    private let byteProbes: UnsafeMutableBufferPointer<Int8>
    private let outputs: UnsafeMutableBufferPointer<Float>
    private let tables: UnsafeMutableBufferPointer<UInt8>
    private let weights: UnsafeMutableBufferPointer<Int8>
    private let rowIDs: UnsafeMutableBufferPointer<UInt32>
    private let bytes: UnsafeMutableBufferPointer<UInt8>
    private let scale: UnsafeMutableBufferPointer<Float>
    private let scans: UnsafeMutableBufferPointer<VectorKernels.ScanProbe>
    /// What is written by kernels whose results nobody reads: `[1024 × dimension]`.
    private let results: UnsafeMutableBufferPointer<Float>
    private let factors: UnsafeMutableBufferPointer<UInt16>
    private let probeRounding: VectorKernels.ProbeRounding

    init(byteCount: Int) {
        let probeCount = VectorKernels.maximumScanProbes
        unsafe memory = .allocate(byteCount: byteCount, alignment: 4096)
        var random = SplitMix64(seed: 1)
        let words = unsafe memory.bindMemory(to: UInt64.self)
        for index in words.indices {
            // Float16 between -2 and 2, no infinity and no NaN.
            unsafe words[index] = random.next() & (index < words.count / 2 ? 0xbfff_bfff_bfff_bfff : .max)
        }
        unsafe probes = .allocate(capacity: probeCount * Self.dimension)
        unsafe byteProbes = .allocate(capacity: probeCount * Self.dimension)
        for index in unsafe probes.indices {
            unsafe probes[index] = Float.random(in: -1...1, using: &random)
            unsafe byteProbes[index] = Int8.random(in: -127...127, using: &random)
        }
        let heads = VectorKernels.headCount(planeCount: Self.planeCount)
        unsafe tables = Self.aligned(probeCount * heads * VectorKernels.lutPlaneByteCount)
        unsafe weights = Self.aligned(probeCount * (Self.planeCount - heads) * CodePlane.dimension)
        for index in unsafe tables.indices { unsafe tables[index] = UInt8.random(in: 0...255, using: &random) }
        for index in unsafe weights.indices { unsafe weights[index] = Int8.random(in: -60...60, using: &random) }
        let resultCount = Self.cachedRowCount * Self.dimension
        unsafe outputs = .allocate(capacity: resultCount)
        unsafe rowIDs = .allocate(capacity: resultCount)
        unsafe rowIDs.initialize(repeating: 0)
        unsafe results = .allocate(capacity: resultCount)
        unsafe results.initialize(repeating: 0)
        unsafe factors = .allocate(capacity: resultCount)
        unsafe factors.initialize(repeating: Float16(1).bitPattern)
        unsafe bytes = .allocate(capacity: 2 * resultCount)
        unsafe scale = .allocate(capacity: Self.dimension)
        unsafe scale.initialize(repeating: 0.05)
        unsafe probeRounding = VectorKernels.roundProbe(
            UnsafeBufferPointer(rebasing: probes[0..<Self.dimension]),
            into: UnsafeMutableBufferPointer(rebasing: byteProbes[0..<Self.dimension])
        )
        unsafe scans = .allocate(capacity: probeCount)
        for probe in 0..<probeCount {
            let scan = unsafe VectorKernels.ScanProbe(
                lut: tables.baseAddress! + probe * heads * VectorKernels.lutPlaneByteCount,
                weights: weights.baseAddress! + probe * (Self.planeCount - heads) * CodePlane.dimension,
                estimator: VectorKernels.Estimator(step: 0.001, headBias: 0, bias: 0),
                meanTerm: 0
            )
            let room = VectorKernels.maximumScanGroups * VectorKernels.groupRows
            unsafe scans.initializeElement(
                at: probe,
                to: scan.writing(
                    rowIDs: rowIDs.baseAddress! + probe * room,
                    estimates: outputs.baseAddress! + probe * room
                )
            )
            let tableByteCount = heads * VectorKernels.lutPlaneByteCount
            unsafe scans[probe].headThreshold = Self.threshold(
                of: UnsafeBufferPointer(rebasing: tables[probe * tableByteCount..<(probe + 1) * tableByteCount])
            )
            unsafe scans[probe].leastEstimate = .infinity
        }
    }

    /// What the sums of ``passedShare`` of random codes are above: sums of one entry each of many tables of 16, so they
    /// lie nearly as a normal distribution does.
    private static func threshold(of tables: UnsafeBufferPointer<UInt8>) -> Int32 {
        var (mean, variance) = (0.0, 0.0)
        for first in stride(from: 0, to: tables.count, by: 16) {
            let entries = (first..<first + 16).map { unsafe Double(tables[$0]) }
            let middle = entries.reduce(0, +) / 16
            mean += middle
            variance += entries.reduce(0) { $0 + ($1 - middle) * ($1 - middle) } / 16
        }
        return Int32(mean + passedDeviations * variance.squareRoot())
    }

    /// Share of the slots that the heads let pass, counted over some blocks and all probes.
    func countedPassedShare() -> Double {
        let thresholds = unsafe scans.indices.map { unsafe scans[$0].headThreshold }
        // Without thresholds all are found but for those whose factor is no number: they are left out of both.
        let all = foundCount(thresholds.map { _ in -1 })
        let passed = foundCount(thresholds)
        for probe in unsafe scans.indices { unsafe scans[probe].leastEstimate = .infinity }
        return Double(passed) / Double(max(1, all))
    }

    private func foundCount(_ thresholds: [Int32]) -> Int {
        for (probe, threshold) in thresholds.enumerated() {
            unsafe scans[probe].headThreshold = threshold
            unsafe scans[probe].leastEstimate = -.infinity
        }
        var count = 0
        for block in 0..<Self.countedBlockCount {
            scan(thresholds.count, firstRow: block * Self.cachedRowCount, count: Self.cachedRowCount)
            for probe in thresholds.indices { count += unsafe scans[probe].rowIDs.count }
        }
        return count
    }

    deinit {
        unsafe memory.deallocate()
        unsafe probes.deallocate()
        unsafe byteProbes.deallocate()
        unsafe outputs.deallocate()
        unsafe tables.deallocate()
        unsafe weights.deallocate()
        unsafe rowIDs.deallocate()
        unsafe bytes.deallocate()
        unsafe scale.deallocate()
        unsafe scans.deallocate()
        unsafe results.deallocate()
        unsafe factors.deallocate()
    }

    private static func aligned<Element>(_ count: Int) -> UnsafeMutableBufferPointer<Element> {
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: count * MemoryLayout<Element>.stride,
            alignment: VectorKernels.tableAlignment
        )
        return unsafe bytes.bindMemory(to: Element.self)
    }

    static let kernels: [Kernel] =
        [1, 4].flatMap { probeCount in
            [
                Kernel(
                    name: "scan of codes",
                    probeCount: probeCount,
                    rowByteCount: 32 + Int((64 * passedShare).rounded()),
                    rowSpan: slotSpan
                ) { $0.scan(probeCount, firstRow: $1, count: $2) },
                Kernel(
                    name: "ranking of lists",
                    probeCount: probeCount,
                    rowByteCount: centroidDimension,
                    rowSpan: centroidDimension
                ) { $0.multiplyBytes(probeCount, dimension: centroidDimension, firstRow: $1, count: $2) },
                Kernel(name: "product with int8", probeCount: probeCount, rowByteCount: dimension) {
                    $0.multiplyBytes(probeCount, dimension: dimension, firstRow: $1, count: $2)
                },
                Kernel(name: "product with float16", probeCount: probeCount, rowByteCount: 2 * dimension) {
                    $0.multiplyHalves(probeCount, firstRow: $1, count: $2)
                },
                Kernel(
                    name: "product with float32",
                    probeCount: probeCount,
                    rowByteCount: 4 * dimension,
                    rowSpan: 4 * dimension
                ) { $0.multiplyFloats(probeCount, firstRow: $1, count: $2) },
            ]
        } + [
            Kernel(name: "product with scattered float16", probeCount: 1, rowByteCount: 2 * dimension) {
                $0.multiplyScatteredHalves(firstRow: $1, count: $2)
            },
            Kernel(
                name: "product with scattered float32",
                probeCount: 1,
                rowByteCount: 4 * dimension,
                rowSpan: 4 * dimension
            ) { $0.multiplyScatteredFloats(firstRow: $1, count: $2) },
            Kernel(name: "bounds of int8", probeCount: 1, rowByteCount: boundByteCount, rowSpan: boundByteCount) {
                $0.bound(firstRow: $1, count: $2)
            },
            Kernel(name: "look-up tables", probeCount: 1, rowByteCount: 4 * codedDimension, rowSpan: 4 * dimension) {
                $0.buildTables(firstRow: $1, count: $2)
            },
            Kernel(name: "coding", probeCount: 1, rowByteCount: 4 * dimension, rowSpan: 4 * dimension) {
                $0.encode(firstRow: $1, count: $2)
            },
            Kernel(
                name: "packing",
                probeCount: 1,
                rowByteCount: planeCount * VectorKernels.planeByteCount,
                rowSpan: codeSpan
            ) { $0.pack(firstRow: $1, count: $2) },
            Kernel(name: "rounding to int8", probeCount: 1, rowByteCount: 4 * dimension, rowSpan: 4 * dimension) {
                $0.round(firstRow: $1, count: $2)
            },
            Kernel(name: "float32 to float16", probeCount: 1, rowByteCount: 4 * dimension, rowSpan: 4 * dimension) {
                $0.narrow(firstRow: $1, count: $2)
            },
            Kernel(name: "float16 to float32", probeCount: 1, rowByteCount: 2 * dimension) {
                $0.widen(firstRow: $1, count: $2)
            },
            // Chooses its instructions by itself, whatever the level.
            Kernel(name: "checksum of float16", probeCount: 1, rowByteCount: 2 * dimension) {
                $0.sum(firstRow: $1, count: $2)
            },
            // Last: it changes the rows.
            Kernel(name: "normalising", probeCount: 1, rowByteCount: 4 * dimension, rowSpan: 4 * dimension) {
                $0.normalise(firstRow: $1, count: $2)
            },
        ]

    /// Nanoseconds of CPU time a row and probe, the median of some passes of a few milliseconds each.
    func nanoseconds(_ kernel: Kernel, in place: Place, passCount: Int) -> Double {
        let blockRowCount = kernel.cachedRowCount
        let rowsInMemory = unsafe memory.count / 2 / kernel.rowSpan
        let rowCount = place == .cache ? blockRowCount : rowsInMemory / blockRowCount * blockRowCount
        let times = (0...passCount).map { pass -> Double in
            var rows = 0
            let start = CPUClock.ofThisThread
            repeat {
                for first in stride(from: 0, to: rowCount, by: blockRowCount) {
                    kernel.run(self, first, blockRowCount)
                }
                rows += rowCount
            } while CPUClock.ofThisThread - start < .milliseconds(5)
            return (CPUClock.ofThisThread - start) / .nanoseconds(1) / Double(rows * kernel.probeCount)
        }
        // The first pass warms.
        return PairedTimes.median(Array(times.dropFirst()))
    }

    /// Bytes a nanosecond that one thread reads in order.
    func readBandwidth(passCount: Int) -> Double {
        let words = unsafe UnsafeRawBufferPointer(memory).bindMemory(to: SIMD8<UInt64>.self)
        let times = (0...passCount).map { _ -> Double in
            let start = CPUClock.ofThisThread
            var sums = SIMD8<UInt64>.zero
            for index in words.indices { unsafe sums &+= words[index] }
            unsafe outputs[0] = Float(sums.wrappedSum() & 1)
            return (CPUClock.ofThisThread - start) / .nanoseconds(1)
        }
        return unsafe Double(memory.count) / PairedTimes.median(Array(times.dropFirst()))
    }

    // MARK: Calls

    private func scan(_ probeCount: Int, firstRow: Int, count: Int) {
        let start = unsafe (memory.baseAddress! + memory.count / 2).assumingMemoryBound(to: UInt8.self)
        // Blocks of 1024 slots of 96 bytes: heads, then records. The last is only fetched.
        let blocks = stride(from: firstRow, through: firstRow + count, by: Self.cachedRowCount).map { row in
            let block = unsafe UnsafePointer(start + row * 96)
            return unsafe VectorKernels.CodeBlock(
                heads: block,
                headStride: Self.cachedRowCount * VectorKernels.planeByteCount,
                records: block + 2 * Self.cachedRowCount * VectorKernels.planeByteCount,
                groupCount: Self.cachedRowCount / VectorKernels.groupRows
            )
        }
        unsafe blocks.withUnsafeBufferPointer { blocks in
            for place in blocks.indices.dropLast() {
                unsafe VectorKernels.scanCodes(
                    UnsafeBufferPointer(rebasing: blocks[place...place]),
                    before: blocks[place + 1],
                    planeCount: Self.planeCount,
                    probes: UnsafeMutableBufferPointer(rebasing: scans[0..<probeCount])
                )
            }
        }
    }

    private func multiplyBytes(_ probeCount: Int, dimension: Int, firstRow: Int, count: Int) {
        let start = unsafe UnsafePointer((memory.baseAddress! + memory.count / 2).assumingMemoryBound(to: Int8.self))
        unsafe outputs.withMemoryRebound(to: Int32.self) { outputs in
            unsafe VectorKernels.dotInt8(
                probes: UnsafeBufferPointer(rebasing: byteProbes[0..<probeCount * dimension]),
                rows: UnsafeBufferPointer(start: start + firstRow * dimension, count: count * dimension),
                dimension: dimension,
                out: UnsafeMutableBufferPointer(rebasing: outputs[0..<probeCount * count])
            )
        }
    }

    private func multiplyHalves(_ probeCount: Int, firstRow: Int, count: Int) {
        let start = unsafe UnsafePointer(memory.baseAddress!.assumingMemoryBound(to: UInt16.self))
        unsafe VectorKernels.dotFloat16(
            probes: UnsafeBufferPointer(rebasing: probes[0..<probeCount * Self.dimension]),
            rows: UnsafeBufferPointer(start: start + firstRow * Self.dimension, count: count * Self.dimension),
            dimension: Self.dimension,
            out: UnsafeMutableBufferPointer(rebasing: outputs[0..<probeCount * count])
        )
    }

    private func multiplyFloats(_ probeCount: Int, firstRow: Int, count: Int) {
        unsafe VectorKernels.dotFloat32(
            probes: UnsafeBufferPointer(rebasing: probes[0..<probeCount * Self.dimension]),
            rows: floatRows(firstRow, count),
            dimension: Self.dimension,
            out: UnsafeMutableBufferPointer(rebasing: outputs[0..<probeCount * count])
        )
    }

    /// Rows of float32: the first half of the memory holds numbers below 2 in that form as well.
    private func floatRows(_ firstRow: Int, _ count: Int) -> UnsafeBufferPointer<Float> {
        let start = unsafe UnsafePointer(memory.baseAddress!.assumingMemoryBound(to: Float.self))
        return unsafe UnsafeBufferPointer(start: start + firstRow * Self.dimension, count: count * Self.dimension)
    }

    /// Two segments of two bits and one of one: five planes.
    private static let planes = [
        CodePlane(segment: 0, bit: 0, of: 2), CodePlane(segment: 1, bit: 0, of: 2),
        CodePlane(segment: 0, bit: 1, of: 2), CodePlane(segment: 1, bit: 1, of: 2),
        CodePlane(segment: 2, bit: 0, of: 1),
    ]

    private func encode(firstRow: Int, count: Int) {
        let codeByteCount = count * Self.planeCount * VectorKernels.planeByteCount
        unsafe VectorKernels.encode(
            rows: floatRows(firstRow, count),
            rowCount: count,
            planes: Self.planes,
            scale: UnsafeBufferPointer(scale),
            codes: UnsafeMutableBufferPointer(rebasing: bytes[0..<codeByteCount]),
            selfDot: UnsafeMutableBufferPointer(rebasing: outputs[0..<count]),
            codeDot: UnsafeMutableBufferPointer(rebasing: outputs[count..<2 * count])
        )
    }

    private func round(firstRow: Int, count: Int) {
        unsafe bytes.withMemoryRebound(to: Int8.self) { bytes in
            unsafe VectorKernels.roundRows(
                floatRows(firstRow, count),
                dimension: Self.dimension,
                into: UnsafeMutableBufferPointer(rebasing: bytes[0..<count * Self.dimension]),
                scales: UnsafeMutableBufferPointer(rebasing: outputs[0..<count]),
                errors: UnsafeMutableBufferPointer(rebasing: outputs[count..<2 * count]),
                norms: UnsafeMutableBufferPointer(rebasing: outputs[2 * count..<3 * count])
            )
        }
    }

    private func sum(firstRow: Int, count: Int) {
        let rows = unsafe UnsafeRawBufferPointer(
            rebasing: memory[firstRow * Self.halfRowByteCount..<(firstRow + count) * Self.halfRowByteCount]
        )
        unsafe outputs[0] = Float(CRC32C.checksum(rows) & 1)
    }

    /// Products, scales, errors and norms of some rows, one behind the other; no row reaches.
    private func bound(firstRow: Int, count: Int) {
        let start = unsafe UnsafeRawPointer(memory.baseAddress! + firstRow * Self.boundByteCount)
        let values = unsafe start.assumingMemoryBound(to: Float.self)
        let found = unsafe VectorKernels.reachingRows(
            products: UnsafeBufferPointer(start: start.assumingMemoryBound(to: Int32.self), count: count),
            scales: UnsafeBufferPointer(start: values + count, count: count),
            errors: UnsafeBufferPointer(start: values + 2 * count, count: count),
            norms: UnsafeBufferPointer(start: values + 3 * count, count: count),
            probe: probeRounding,
            least: .infinity,
            into: UnsafeMutableBufferPointer(rebasing: rowIDs[0..<count])
        )
        unsafe outputs[0] = Float(found)
    }

    private func buildTables(firstRow: Int, count: Int) {
        let heads = VectorKernels.headCount(planeCount: Self.planeCount)
        let tables = unsafe UnsafeMutableBufferPointer(rebasing: bytes[0..<heads * VectorKernels.lutPlaneByteCount])
        let weights = unsafe UnsafeMutableRawBufferPointer(results).bindMemory(to: Int8.self)
        let rows = unsafe floatRows(firstRow, count)
        for row in 0..<count {
            let first = row * Self.dimension
            let estimator = unsafe VectorKernels.buildLUT(
                probe: UnsafeBufferPointer(rebasing: rows[first..<first + Self.codedDimension]),
                planes: Self.planes,
                scale: UnsafeBufferPointer(rebasing: scale[0..<Self.codedDimension]),
                lut: tables,
                weights: UnsafeMutableBufferPointer(
                    rebasing: weights[0..<(Self.planeCount - heads) * CodePlane.dimension]
                )
            )
            unsafe outputs[row] = estimator.step
        }
    }

    private func pack(firstRow: Int, count: Int) {
        let start = unsafe UnsafePointer(memory.baseAddress!.assumingMemoryBound(to: UInt8.self))
        let codes: [UnsafePointer<UInt8>?] = unsafe (0..<count).map { unsafe start + (firstRow + $0) * Self.codeSpan }
        let headByteCount = count * VectorKernels.planeByteCount
        unsafe codes.withUnsafeBufferPointer { codes in
            unsafe VectorKernels.packCodes(
                rowCodes: codes,
                rowIDs: UnsafeBufferPointer(rebasing: rowIDs[0..<count]),
                factors: UnsafeBufferPointer(rebasing: factors[0..<count]),
                planeCount: Self.planeCount,
                heads: bytes.baseAddress!,
                headStride: headByteCount,
                records: bytes.baseAddress! + 2 * headByteCount
            )
        }
    }

    private func narrow(firstRow: Int, count: Int) {
        unsafe VectorKernels.convertToFloat16(
            floatRows(firstRow, count),
            into: UnsafeMutableBufferPointer(rebasing: factors[0..<count * Self.dimension])
        )
    }

    private func widen(firstRow: Int, count: Int) {
        let start = unsafe UnsafePointer(memory.baseAddress!.assumingMemoryBound(to: UInt16.self))
        unsafe VectorKernels.convertToFloat32(
            UnsafeBufferPointer(start: start + firstRow * Self.dimension, count: count * Self.dimension),
            into: UnsafeMutableBufferPointer(rebasing: results[0..<count * Self.dimension])
        )
    }

    private func normalise(firstRow: Int, count: Int) {
        let rows = unsafe floatRows(firstRow, count)
        unsafe VectorKernels.normalise(
            rows: UnsafeMutableBufferPointer(mutating: rows),
            dimension: Self.dimension,
            status: UnsafeMutableBufferPointer(rebasing: bytes[0..<count])
        )
    }

    /// Rows in an order that no processor guesses.
    private func scattered<Element>(firstRow: Int, count: Int) -> [UnsafePointer<Element>?] {
        let start = unsafe UnsafePointer(memory.baseAddress!.assumingMemoryBound(to: Element.self))
        // A pass in cache has its rows only; of one in memory the first block is one of hundreds.
        let rowsInMemory = unsafe memory.count / 2 / (MemoryLayout<Element>.stride * Self.dimension)
        let rowCount = firstRow == 0 ? count : rowsInMemory
        return unsafe (0..<count).map { index in
            let row = ((firstRow + index) &* 2_654_435_761) % rowCount
            return unsafe start + row * Self.dimension
        }
    }

    private func multiplyScatteredHalves(firstRow: Int, count: Int) {
        let rows: [UnsafePointer<UInt16>?] = unsafe scattered(firstRow: firstRow, count: count)
        unsafe rows.withUnsafeBufferPointer { rows in
            unsafe VectorKernels.dotFloat16Gather(
                probe: UnsafeBufferPointer(rebasing: probes[0..<Self.dimension]),
                rows: rows,
                out: UnsafeMutableBufferPointer(rebasing: outputs[0..<count])
            )
        }
    }

    private func multiplyScatteredFloats(firstRow: Int, count: Int) {
        let rows: [UnsafePointer<Float>?] = unsafe scattered(firstRow: firstRow, count: count)
        unsafe rows.withUnsafeBufferPointer { rows in
            unsafe VectorKernels.dotFloat32Gather(
                probe: UnsafeBufferPointer(rebasing: probes[0..<Self.dimension]),
                rows: rows,
                out: UnsafeMutableBufferPointer(rebasing: outputs[0..<count])
            )
        }
    }
}
