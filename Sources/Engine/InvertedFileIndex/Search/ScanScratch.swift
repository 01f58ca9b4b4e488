internal import VectorMath

/// The buffers and thresholds of one scan, allocated once.
@safe
struct ScanScratch: ~Copyable {
    private let planeCount: Int
    private let calibration: ScanCalibration
    /// Standard normal deviations below the line of the whole code at which rows are given up.
    private let wholeDeviations: Float
    /// The same for the heads, below the line of the worst candidate kept. One row of fifteen that is just as good as
    /// that one is lost; what ends as a match is better by several deviations.
    private static let headDeviations: Float = 1.5
    /// Of each probe, as of its last block.
    private let probes: UnsafeMutableBufferPointer<VectorKernels.ScanProbe>
    /// Of the probes of one call.
    private let called: UnsafeMutableBufferPointer<VectorKernels.ScanProbe>
    private let rowIDs: UnsafeMutableBufferPointer<UInt32>
    private let estimates: UnsafeMutableBufferPointer<Float>
    private let tables: UnsafeMutableRawBufferPointer
    private let weights: UnsafeMutableRawBufferPointer
    private let estimators: [VectorKernels.Estimator]
    private let meanTerms: [Float]

    /// - Parameter missRate: share that the whole code may lose of the rows that are just similar enough to matter.
    init(codebook: Codebook, probes prepared: PreparedProbes, missRate: Double) {
        let callCount = VectorKernels.maximumScanProbes
        let capacity = VectorKernels.maximumScanGroups * VectorKernels.groupRows
        planeCount = codebook.plan.planeCount
        calibration = codebook.scanCalibration
        wholeDeviations = Float(NormalDistribution.deviations(forTail: missRate))
        estimators = prepared.estimators
        meanTerms = prepared.meanTerms
        // Tables of 64 bytes that cross cache lines cost a third of the scan.
        unsafe tables = Self.aligned(prepared.tables)
        unsafe weights = Self.aligned(prepared.weights)
        unsafe rowIDs = .allocate(capacity: callCount * capacity)
        unsafe estimates = .allocate(capacity: callCount * capacity)
        unsafe called = .allocate(capacity: callCount)
        unsafe probes = .allocate(capacity: prepared.probeCount)
        for probe in 0..<prepared.probeCount {
            let table = unsafe tables.baseAddress! + probe * prepared.tableByteCount
            let weight = unsafe weights.baseAddress! + probe * prepared.weightCount
            unsafe probes.initializeElement(
                at: probe,
                to: VectorKernels.ScanProbe(
                    lut: table.assumingMemoryBound(to: UInt8.self),
                    weights: weight.assumingMemoryBound(to: Int8.self),
                    estimator: prepared.estimators[probe],
                    meanTerm: prepared.meanTerms[probe]
                )
            )
        }
    }

    deinit {
        unsafe probes.deallocate()
        unsafe called.deallocate()
        unsafe rowIDs.deallocate()
        unsafe estimates.deallocate()
        unsafe tables.deallocate()
        unsafe weights.deallocate()
    }

    private static func aligned<Element: BitwiseCopyable>(_ values: [Element]) -> UnsafeMutableRawBufferPointer {
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: values.count * MemoryLayout<Element>.stride,
            alignment: VectorKernels.tableAlignment
        )
        unsafe values.withUnsafeBytes { unsafe bytes.copyMemory(from: $0) }
        return unsafe bytes
    }

    /// The estimate that a row of this similarity seldom stays below.
    func leastEstimate(for similarity: Float, probe: Int) -> Float {
        meanTerms[probe] + calibration.whole.least(for: similarity - meanTerms[probe], deviations: wholeDeviations)
    }

    /// Scores one block against its probes, four at a time, and offers what is above each probe's threshold.
    func scan<Lists: InvertedLists>(
        _ block: CodeBlock,
        probes wanted: ArraySlice<UInt32>,
        lists: Lists,
        into candidates: UnsafeMutableBufferPointer<CandidateSet>
    ) {
        let capacity = VectorKernels.maximumScanGroups * VectorKernels.groupRows
        var first = wanted.startIndex
        while first < wanted.endIndex {
            let count = min(VectorKernels.maximumScanProbes, wanted.endIndex - first)
            for place in 0..<count {
                let probe = Int(wanted[first + place])
                unsafe setThresholds(of: probe, forEstimate: candidates[probe].threshold)
                unsafe called.initializeElement(
                    at: place,
                    to: probes[probe].writing(
                        rowIDs: rowIDs.baseAddress! + place * capacity,
                        estimates: estimates.baseAddress! + place * capacity
                    )
                )
            }
            unsafe VectorKernels.scanCodes(
                heads: block.heads,
                headStride: block.headStride,
                records: block.records,
                planeCount: planeCount,
                groupCount: block.groupCount,
                probes: UnsafeMutableBufferPointer(rebasing: called[0..<count])
            )
            for place in 0..<count {
                let probe = Int(wanted[first + place])
                unsafe offer(called[place], lists, to: &candidates[probe])
            }
            first += count
        }
    }

    private func setThresholds(of probe: Int, forEstimate estimate: Float) {
        if unsafe probes[probe].leastEstimate == estimate { return }
        let estimator = estimators[probe]
        let least = calibration.head.least(for: estimate - meanTerms[probe], deviations: Self.headDeviations)
        let sum = (least - estimator.headBias) / estimator.step
        unsafe probes[probe].leastEstimate = estimate
        // One step below, so that rounding gives no row up. Minus infinity and NaN give nothing up.
        unsafe probes[probe].headThreshold = sum > 2 ? Int32(min(sum.rounded(.down) - 2, 70_000)) : -1
    }

    private func offer<Lists: InvertedLists>(
        _ found: VectorKernels.ScanProbe,
        _ lists: Lists,
        to candidates: inout CandidateSet
    ) {
        let (rows, estimates) = unsafe (found.rowIDs, found.estimates)
        for index in rows.indices {
            let (row, estimate) = unsafe (rows[index], estimates[index])
            if estimate >= candidates.threshold, lists.isLive(row: row) {
                candidates.insert(estimate: estimate, row: row)
            }
        }
    }
}
