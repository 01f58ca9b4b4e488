internal import VectorMath

/// The buffers of one scan, allocated once.
@safe
struct ScanScratch: ~Copyable {
    private let planeCount: Int
    private let rows: UnsafeMutableBufferPointer<UInt32>
    private let sums: UnsafeMutableBufferPointer<UInt16>
    private let thresholds: UnsafeMutableBufferPointer<Int32>
    private let tables: UnsafeMutableBufferPointer<UnsafePointer<UInt8>?>
    private let planes: UnsafeMutableBufferPointer<UnsafePointer<UInt8>?>
    private let rowOutputs: UnsafeMutableBufferPointer<UnsafeMutablePointer<UInt32>?>
    private let sumOutputs: UnsafeMutableBufferPointer<UnsafeMutablePointer<UInt16>?>
    private let counts: UnsafeMutableBufferPointer<Int>

    init(planeCount: Int) {
        let probes = VectorKernels.maximumScanProbes
        let capacity = VectorKernels.maximumScanGroups * VectorKernels.groupRows
        self.planeCount = planeCount
        unsafe rows = .allocate(capacity: probes * capacity)
        unsafe sums = .allocate(capacity: probes * capacity)
        unsafe thresholds = .allocate(capacity: probes * planeCount)
        unsafe tables = .allocate(capacity: probes)
        unsafe planes = .allocate(capacity: planeCount)
        unsafe rowOutputs = .allocate(capacity: probes)
        unsafe sumOutputs = .allocate(capacity: probes)
        unsafe counts = .allocate(capacity: probes)
        unsafe thresholds.initialize(repeating: -1)
        unsafe counts.initialize(repeating: 0)
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
    }

    /// Scores one block against up to four probes and offers what is above each probe's threshold.
    func scan<Lists: InvertedLists>(
        _ block: CodeBlock,
        probes: PreparedProbes,
        visits: ArraySlice<ListScanner.Visit>,
        lists: Lists,
        into candidates: inout [CandidateSet]
    ) {
        for plane in 0..<planeCount {
            unsafe planes[plane] = unsafe block.firstPlane + plane * block.planeStride
        }
        unsafe probes.tables.withUnsafeBufferPointer { allTables in
            for (slot, visit) in visits.enumerated() {
                let probe = Int(visit.probe)
                unsafe tables[slot] = unsafe allTables.baseAddress! + probe * probes.tableByteCount
                unsafe thresholds[slot * planeCount + planeCount - 1] = leastSum(
                    for: candidates[probe].threshold,
                    probe: probe,
                    probes: probes,
                    greatestFactor: block.greatestFactor
                )
            }
            unsafe VectorKernels.scanCodes(
                planes: UnsafeBufferPointer(planes),
                groupCount: block.groupCount,
                rowCount: block.rowCount,
                luts: UnsafeBufferPointer(rebasing: tables[0..<visits.count]),
                thresholds: UnsafeBufferPointer(rebasing: thresholds[0..<visits.count * planeCount]),
                rowsOut: UnsafeBufferPointer(rebasing: rowOutputs[0..<visits.count]),
                scoresOut: UnsafeBufferPointer(rebasing: sumOutputs[0..<visits.count]),
                countsOut: UnsafeMutableBufferPointer(rebasing: counts[0..<visits.count])
            )
        }
        for (slot, visit) in visits.enumerated() {
            let probe = Int(visit.probe)
            let step = probes.steps[probe]
            let bias = probes.biases[probe]
            let meanTerm = probes.meanTerms[probe]
            for index in 0..<(unsafe counts[slot]) {
                let row = unsafe Int(rowOutputs[slot]![index])
                let factor = unsafe Self.widen(block.factors[row])
                let estimate = unsafe meanTerm + factor * (step * Float(sumOutputs[slot]![index]) + bias)
                guard estimate >= candidates[probe].threshold else { continue }
                let rowID = unsafe block.rowIDs[row]
                guard lists.isLive(row: rowID) else { continue }
                candidates[probe].insert(estimate: estimate, row: rowID)
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
        probe: Int,
        probes: PreparedProbes,
        greatestFactor: Float
    ) -> Int32 {
        let wanted = similarity - probes.meanTerms[probe]
        guard wanted > 0, greatestFactor > 0 else { return -1 }
        let sum = (wanted / greatestFactor - probes.biases[probe]) / probes.steps[probe]
        // One sum of slack absorbs the rounding of this line against that of the estimate.
        return sum <= 2 ? -1 : Int32(min(sum.rounded(.down) - 2, 70_000))
    }
}
