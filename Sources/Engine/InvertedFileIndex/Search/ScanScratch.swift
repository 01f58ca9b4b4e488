internal import VectorMath

/// The buffers and thresholds of one scan, allocated once.
@safe
struct ScanScratch: ~Copyable {
    private let planeCount: Int
    /// Planes that are read before the first test. Nine groups of ten pass the first plane and seven the second; where
    /// several probes share a block its bytes are in cache, and reading a third plane jointly is cheaper than a test.
    private let untestedPlanes: Int
    private let calibration: ScanCalibration
    /// Standard normal deviations below the line of the whole code at which rows are given up.
    private let wholeDeviations: Float
    /// The same for the planes before the last, below the line of the worst candidate kept. One row of fifteen that is
    /// just as good as that one is lost at each plane; what ends as a match is better by several deviations.
    private static let planeDeviations: Float = 1.5
    private let rows: UnsafeMutableBufferPointer<UInt32>
    private let sums: UnsafeMutableBufferPointer<UInt16>
    private let thresholds: UnsafeMutableBufferPointer<Int32>
    private let tables: UnsafeMutableBufferPointer<UnsafePointer<UInt8>?>
    private let planes: UnsafeMutableBufferPointer<UnsafePointer<UInt8>?>
    private let rowOutputs: UnsafeMutableBufferPointer<UnsafeMutablePointer<UInt32>?>
    private let sumOutputs: UnsafeMutableBufferPointer<UnsafeMutablePointer<UInt16>?>
    private let counts: UnsafeMutableBufferPointer<Int>
    /// Look-up tables of all probes: `[probeCount × tableByteCount]`.
    private let allTables: UnsafeMutableBufferPointer<UInt8>
    private let tableByteCount: Int
    private let lines: UnsafeMutableBufferPointer<PreparedProbes.EstimateLine>
    private let biases: UnsafeMutableBufferPointer<Float>
    /// Thresholds of all probes but for the last plane: `[probeCount × planeCount]`.
    private let allThresholds: UnsafeMutableBufferPointer<Int32>
    /// `[probeCount]`: the estimate that each probe's thresholds are for.
    private let thresholdEstimates: UnsafeMutableBufferPointer<Float>

    /// - Parameter missRate: share that the whole code may lose of the rows that are just similar enough to matter.
    init(codebook: Codebook, probes prepared: PreparedProbes, missRate: Double) {
        let probes = VectorKernels.maximumScanProbes
        let capacity = VectorKernels.maximumScanGroups * VectorKernels.groupRows
        planeCount = codebook.plan.planeCount
        untestedPlanes = prepared.probeCount == 1 ? 1 : 2
        calibration = codebook.scanCalibration
        wholeDeviations = Float(NormalDistribution.deviations(forTail: missRate))
        unsafe rows = .allocate(capacity: probes * capacity)
        unsafe sums = .allocate(capacity: probes * capacity)
        unsafe thresholds = .allocate(capacity: probes * planeCount)
        unsafe tables = .allocate(capacity: probes)
        unsafe planes = .allocate(capacity: planeCount)
        unsafe rowOutputs = .allocate(capacity: probes)
        unsafe sumOutputs = .allocate(capacity: probes)
        unsafe counts = .allocate(capacity: probes)
        unsafe counts.initialize(repeating: 0)
        tableByteCount = prepared.tableByteCount
        // Tables of 64 bytes that cross cache lines cost a third of the scan.
        let tableMemory = UnsafeMutableRawBufferPointer.allocate(
            byteCount: prepared.tables.count,
            alignment: VectorKernels.tableAlignment
        )
        unsafe allTables = unsafe tableMemory.bindMemory(to: UInt8.self)
        _ = unsafe allTables.initialize(from: prepared.tables)
        unsafe lines = .allocate(capacity: prepared.lines.count)
        _ = unsafe lines.initialize(from: prepared.lines)
        unsafe biases = .allocate(capacity: prepared.biases.count)
        _ = unsafe biases.initialize(from: prepared.biases)
        unsafe allThresholds = .allocate(capacity: prepared.biases.count)
        unsafe allThresholds.initialize(repeating: -1)
        unsafe thresholdEstimates = .allocate(capacity: prepared.probeCount)
        unsafe thresholdEstimates.initialize(repeating: -.infinity)
        for probe in 0..<probes {
            unsafe rowOutputs[probe] = unsafe rows.baseAddress! + probe * capacity
            unsafe sumOutputs[probe] = unsafe sums.baseAddress! + probe * capacity
        }
    }

    deinit {
        unsafe rows.deallocate()
        unsafe sums.deallocate()
        unsafe thresholds.deallocate()
        unsafe tables.deallocate()
        unsafe planes.deallocate()
        unsafe rowOutputs.deallocate()
        unsafe sumOutputs.deallocate()
        unsafe counts.deallocate()
        unsafe allTables.deallocate()
        unsafe lines.deallocate()
        unsafe biases.deallocate()
        unsafe allThresholds.deallocate()
        unsafe thresholdEstimates.deallocate()
    }

    /// The estimate that a row of this similarity seldom stays below.
    func leastEstimate(for similarity: Float, probe: Int) -> Float {
        let meanTerm = unsafe lines[probe].meanTerm
        return meanTerm + calibration.whole.least(for: similarity - meanTerm, deviations: wholeDeviations)
    }

    /// Thresholds of the planes before the last, under which few rows of this estimate would be given up.
    private func setThresholds(forEstimate estimate: Float, probe: Int) {
        if unsafe thresholdEstimates[probe] == estimate { return }
        unsafe thresholdEstimates[probe] = estimate
        let line = unsafe lines[probe]
        for plane in min(untestedPlanes, planeCount - 1)..<planeCount - 1 {
            let least = calibration.planes[plane].least(for: estimate - line.meanTerm, deviations: Self.planeDeviations)
            let index = probe * planeCount + plane
            unsafe allThresholds[index] = threshold(forSum: (least - biases[index]) / line.step)
        }
    }

    /// Scores one block against its probes, four at a time, and offers what is above each probe's threshold.
    func scan<Lists: InvertedLists>(
        _ block: CodeBlock,
        probes: ArraySlice<UInt32>,
        lists: Lists,
        into candidates: UnsafeMutableBufferPointer<CandidateSet>
    ) {
        for plane in 0..<planeCount {
            unsafe planes[plane] = unsafe block.firstPlane + plane * block.planeStride
        }
        var first = probes.startIndex
        while first < probes.endIndex {
            let count = min(VectorKernels.maximumScanProbes, probes.endIndex - first)
            for slot in 0..<count {
                let probe = Int(probes[first + slot])
                unsafe tables[slot] = unsafe UnsafePointer(allTables.baseAddress! + probe * tableByteCount)
                unsafe setThresholds(forEstimate: candidates[probe].threshold, probe: probe)
                for plane in 0..<planeCount - 1 {
                    unsafe thresholds[slot * planeCount + plane] = unsafe allThresholds[probe * planeCount + plane]
                }
                unsafe thresholds[slot * planeCount + planeCount - 1] = leastSum(
                    for: unsafe candidates[probe].threshold,
                    line: unsafe lines[probe],
                    greatestFactor: block.greatestFactor
                )
            }
            unsafe VectorKernels.scanCodes(
                planes: UnsafeBufferPointer(planes),
                groupCount: block.groupCount,
                rowCount: block.slotCount,
                luts: UnsafeBufferPointer(rebasing: tables[0..<count]),
                thresholds: UnsafeBufferPointer(rebasing: thresholds[0..<count * planeCount]),
                rowsOut: UnsafeBufferPointer(rebasing: rowOutputs[0..<count]),
                scoresOut: UnsafeBufferPointer(rebasing: sumOutputs[0..<count]),
                countsOut: UnsafeMutableBufferPointer(rebasing: counts[0..<count])
            )
            for slot in 0..<count {
                let survivorCount = unsafe counts[slot]
                if survivorCount == 0 { continue }
                let probe = Int(probes[first + slot])
                unsafe offer(block, slot: slot, survivorCount, lists, to: &candidates[probe], line: lines[probe])
            }
            first += count
        }
    }

    private func offer<Lists: InvertedLists>(
        _ block: CodeBlock,
        slot: Int,
        _ survivorCount: Int,
        _ lists: Lists,
        to candidates: inout CandidateSet,
        line: PreparedProbes.EstimateLine
    ) {
        let survivors = unsafe rowOutputs[slot]!
        let survivorSums = unsafe sumOutputs[slot]!
        for index in 0..<survivorCount {
            let row = unsafe Int(survivors[index])
            let factor = unsafe Self.widen(block.factors[row])
            let estimate = unsafe line.meanTerm + factor * (line.step * Float(survivorSums[index]) + line.bias)
            guard estimate >= candidates.threshold else { continue }
            let rowID = unsafe block.rowIDs[row]
            if rowID != CodeBlock.absentRow, lists.isLive(row: rowID) {
                candidates.insert(estimate: estimate, row: rowID)
            }
        }
    }

    /// A positive float16 as float32; `Float(Float16)` is a call into the runtime where the compiler may not use F16C.
    private static func widen(_ bits: UInt16) -> Float {
        bits < 0x400
            ? Float(Float16(bitPattern: bits)) : Float(bitPattern: UInt32(bits) << 13 &+ (127 - 15) << 23)
    }

    /// The kernel's threshold (a row survives above it) under which no row of the block can reach `similarity`.
    private func leastSum(
        for similarity: Float,
        line: PreparedProbes.EstimateLine,
        greatestFactor: Float
    ) -> Int32 {
        let wanted = similarity - line.meanTerm
        guard wanted > 0, greatestFactor > 0 else { return -1 }
        return threshold(forSum: (wanted / greatestFactor - line.bias) / line.step)
    }

    /// One step below a sum, so that rounding here and in the kernel gives no row up.
    private func threshold(forSum sum: Float) -> Int32 {
        // Minus infinity and NaN give nothing up.
        sum > 2 ? Int32(min(sum.rounded(.down) - 2, 70_000)) : -1
    }
}
