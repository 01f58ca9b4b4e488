internal import VectorMath

/// The buffers and thresholds of one scan, allocated once.
@safe
struct ScanScratch: ~Copyable {
    private let planeCount: Int
    private let calibration: ScanCalibration
    /// Standard normal deviations below its line at which a row that is just similar enough is given up, by its heads
    /// or by the whole code; infinite when none is.
    private let deviations: Float
    /// The same for heads, below the line of the worst candidate kept.
    private let candidateDeviations: Float
    /// Of each probe, as of its last call.
    private let probes: UnsafeMutableBufferPointer<VectorKernels.ScanProbe>
    /// What is scanned by the next call.
    private let batch: UnsafeMutablePointer<Batch>
    private let blocks: UnsafeMutableBufferPointer<VectorKernels.CodeBlock>
    /// Of the probes of one call.
    private let called: UnsafeMutableBufferPointer<VectorKernels.ScanProbe>
    private let rowIDs: UnsafeMutableBufferPointer<UInt32>
    private let estimates: UnsafeMutableBufferPointer<Float>
    private let tables: UnsafeMutableRawBufferPointer
    private let weights: UnsafeMutableRawBufferPointer
    private let estimators: [VectorKernels.Estimator]
    private let meanTerms: [Float]
    /// Of each probe: the estimate of the heads that a row which is similar enough seldom stays below.
    private let headFloors: UnsafeMutableBufferPointer<Float>
    /// Of each probe: the candidate's estimate that the thresholds are for.
    private let worstKept: UnsafeMutableBufferPointer<Float>

    /// Bytes of these, and of the shortlists that the scan fills.
    private let byteCount: Int

    /// - Parameters:
    ///   - tolerance: what codes may lose of the rows that are similar enough.
    ///   - shortlistByteCount: of the shortlists of all probes, to be counted with the buffers.
    init(codebook: Codebook, probes prepared: PreparedProbes, tolerance: CodeTolerance, shortlistByteCount: Int) {
        let callCount = VectorKernels.maximumScanProbes
        let capacity = VectorKernels.maximumScanGroups * VectorKernels.groupRows
        planeCount = codebook.plan.planeCount
        calibration = codebook.scanCalibration
        deviations =
            tolerance.missRate > 0 ? Float(NormalDistribution.deviations(forTail: tolerance.missRate)) : .infinity
        candidateDeviations = tolerance.candidateDeviations
        estimators = prepared.estimators
        meanTerms = prepared.meanTerms
        // Tables of 64 bytes that cross cache lines cost a third of the scan.
        unsafe tables = Self.aligned(prepared.tables)
        unsafe weights = Self.aligned(prepared.weights)
        unsafe rowIDs = .allocate(capacity: callCount * capacity)
        unsafe estimates = .allocate(capacity: callCount * capacity)
        unsafe batch = .allocate(capacity: 1)
        unsafe batch.initialize(to: Batch())
        unsafe blocks = .allocate(capacity: VectorKernels.maximumScanGroups)
        unsafe called = .allocate(capacity: callCount)
        unsafe headFloors = .allocate(capacity: prepared.probeCount)
        unsafe headFloors.initialize(repeating: -.infinity)
        unsafe worstKept = .allocate(capacity: prepared.probeCount)
        unsafe worstKept.initialize(repeating: -.infinity)
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
        byteCount = unsafe tables.count + weights.count + callCount * capacity * 8 + shortlistByteCount
        SearchBuffers.add(byteCount)
    }

    deinit {
        SearchBuffers.add(-byteCount)
        unsafe probes.deallocate()
        unsafe called.deallocate()
        unsafe blocks.deallocate()
        unsafe batch.deinitialize(count: 1)
        unsafe batch.deallocate()
        unsafe headFloors.deallocate()
        unsafe worstKept.deallocate()
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

    /// Tells that rows below this similarity are of no use to a probe from now on; the estimate of the whole code that
    /// a row of this similarity seldom stays below.
    func setLeastSimilarity(_ similarity: Float, probe: Int) -> Float {
        let wanted = similarity - meanTerms[probe]
        let floor = calibration.headLeast(for: wanted, deviations: deviations)
        unsafe headFloors[probe] = max(headFloors[probe], floor)
        unsafe setHeadThreshold(of: probe, worstKept: worstKept[probe])
        return meanTerms[probe] + calibration.whole.least(for: wanted, deviations: deviations)
    }

    /// Takes a block that is to be scored against its probes: it waits for others of the same probes, so that a call is
    /// worth its while, and for the next, which is fetched meanwhile.
    func add<Lists: InvertedLists>(
        _ block: VectorKernels.CodeBlock,
        probes wanted: ArraySlice<UInt32>,
        lists: Lists,
        into candidates: UnsafeMutableBufferPointer<CandidateSet>
    ) {
        if block.groupCount == 0 { return }
        let groupCount = unsafe batch.pointee.groupCount + block.groupCount
        if unsafe groupCount > VectorKernels.maximumScanGroups || batch.pointee.probes != wanted {
            unsafe scanBatch(before: block, lists: lists, into: candidates)
            unsafe batch.pointee.probes = wanted
        }
        unsafe blocks.initializeElement(at: batch.pointee.blockCount, to: block)
        unsafe batch.pointee.blockCount += 1
        unsafe batch.pointee.groupCount += block.groupCount
    }

    /// Scores the blocks that wait against their probes, four at a time, and offers what is above each probe's
    /// threshold.
    ///
    /// - Parameter next: the block that is scanned next, as far as that is known.
    func scanBatch<Lists: InvertedLists>(
        before next: VectorKernels.CodeBlock?,
        lists: Lists,
        into candidates: UnsafeMutableBufferPointer<CandidateSet>
    ) {
        let blocks = unsafe UnsafeBufferPointer(rebasing: blocks[..<batch.pointee.blockCount])
        guard let last = unsafe blocks.last else { return }
        let wanted = unsafe batch.pointee.probes
        unsafe batch.pointee = Batch()
        let capacity = VectorKernels.maximumScanGroups * VectorKernels.groupRows
        var first = wanted.startIndex
        while first < wanted.endIndex {
            let count = min(VectorKernels.maximumScanProbes, wanted.endIndex - first)
            for place in 0..<count {
                let probe = Int(wanted[first + place])
                if unsafe worstKept[probe] != candidates[probe].worstKept {
                    unsafe setHeadThreshold(of: probe, worstKept: candidates[probe].worstKept)
                }
                unsafe probes[probe].leastEstimate = unsafe candidates[probe].threshold
                unsafe called.initializeElement(
                    at: place,
                    to: probes[probe].writing(
                        rowIDs: rowIDs.baseAddress! + place * capacity,
                        estimates: estimates.baseAddress! + place * capacity
                    )
                )
            }
            unsafe VectorKernels.scanCodes(
                blocks,
                before: first > wanted.startIndex ? nil : next ?? last.following,
                planeCount: planeCount,
                probes: UnsafeMutableBufferPointer(rebasing: called[0..<count])
            )
            for place in 0..<count {
                let probe = Int(wanted[first + place])
                unsafe offer(called[place], lists, to: &candidates[probe])
            }
            first += count
        }
    }

    private func setHeadThreshold(of probe: Int, worstKept estimate: Float) {
        let estimator = estimators[probe]
        let least = calibration.head.least(for: estimate - meanTerms[probe], deviations: candidateDeviations)
        let sum = unsafe (max(least, headFloors[probe]) - estimator.headBias) / estimator.step
        unsafe worstKept[probe] = estimate
        // One step below, so that rounding gives no row up. Minus infinity and NaN give nothing up.
        unsafe probes[probe].headThreshold = sum > 2 ? Int32(min(sum.rounded(.down) - 2, 70_000)) : -1
    }

    private func offer<Lists: InvertedLists>(
        _ found: VectorKernels.ScanProbe,
        _ lists: Lists,
        to candidates: inout CandidateSet
    ) {
        let (rows, estimates) = unsafe (found.rowIDs, found.estimates)
        if rows.isEmpty { return }
        for index in 0..<(unsafe lists.keepLive(rows: rows, estimates: estimates)) {
            unsafe candidates.insert(estimate: estimates[index], row: rows[index])
        }
    }
}

/// Blocks that are scanned together, for the same probes: at most 64 groups.
private struct Batch {
    var blockCount = 0
    var groupCount = 0
    var probes: ArraySlice<UInt32> = []
}
