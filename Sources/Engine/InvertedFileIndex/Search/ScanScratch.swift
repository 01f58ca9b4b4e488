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
    /// Look-up tables of all probes: `[probeCount × tableByteCount]`.
    private let allTables: UnsafeMutableBufferPointer<UInt8>
    private let tableByteCount: Int
    private let lines: UnsafeMutableBufferPointer<PreparedProbes.EstimateLine>

    init(planeCount: Int, probes prepared: PreparedProbes) {
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
        tableByteCount = prepared.tableByteCount
        unsafe allTables = .allocate(capacity: prepared.tables.count)
        _ = unsafe allTables.initialize(from: prepared.tables)
        unsafe lines = .allocate(capacity: prepared.lines.count)
        _ = unsafe lines.initialize(from: prepared.lines)
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
    }

    /// Scores one block against its probes, four at a time, and offers what is above each probe's threshold.
    func scan<Lists: InvertedLists>(
        _ block: CodeBlock,
        visits: ArraySlice<ListScanner.Visit>,
        lists: Lists,
        into candidates: UnsafeMutableBufferPointer<CandidateSet>
    ) {
        for plane in 0..<planeCount {
            unsafe planes[plane] = unsafe block.firstPlane + plane * block.planeStride
        }
        var first = visits.startIndex
        while first < visits.endIndex {
            let count = min(VectorKernels.maximumScanProbes, visits.endIndex - first)
            for slot in 0..<count {
                let probe = Int(visits[first + slot].probe)
                unsafe tables[slot] = unsafe UnsafePointer(allTables.baseAddress! + probe * tableByteCount)
                unsafe thresholds[slot * planeCount + planeCount - 1] = leastSum(
                    for: unsafe candidates[probe].threshold, line: unsafe lines[probe],
                    greatestFactor: block.greatestFactor)
            }
            unsafe VectorKernels.scanCodes(
                planes: UnsafeBufferPointer(planes),
                groupCount: block.groupCount,
                rowCount: block.rowCount,
                luts: UnsafeBufferPointer(rebasing: tables[0..<count]),
                thresholds: UnsafeBufferPointer(rebasing: thresholds[0..<count * planeCount]),
                rowsOut: UnsafeBufferPointer(rebasing: rowOutputs[0..<count]),
                scoresOut: UnsafeBufferPointer(rebasing: sumOutputs[0..<count]),
                countsOut: UnsafeMutableBufferPointer(rebasing: counts[0..<count]))
            for slot in 0..<count {
                let survivorCount = unsafe counts[slot]
                if survivorCount == 0 { continue }
                unsafe offer(block, slot: slot, survivorCount, lists, to: &candidates[Int(visits[first + slot].probe)],
                    line: lines[Int(visits[first + slot].probe)])
            }
            first += count
        }
    }

    private func offer<Lists: InvertedLists>(
        _ block: CodeBlock, slot: Int, _ survivorCount: Int, _ lists: Lists, to candidates: inout CandidateSet,
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
            if lists.isLive(row: rowID) { candidates.insert(estimate: estimate, row: rowID) }
        }
    }

    /// A positive float16 as float32; `Float(Float16)` is a call into the runtime where the compiler may not use F16C.
    private static func widen(_ bits: UInt16) -> Float {
        bits < 0x400
            ? Float(Float16(bitPattern: bits)) : Float(bitPattern: UInt32(bits) << 13 &+ (127 - 15) << 23)
    }

    /// The kernel's threshold (a row survives above it) under which no row of the block can reach `similarity`.
    private func leastSum(
        for similarity: Float, line: PreparedProbes.EstimateLine, greatestFactor: Float
    ) -> Int32 {
        let wanted = similarity - line.meanTerm
        guard wanted > 0, greatestFactor > 0 else { return -1 }
        let sum = (wanted / greatestFactor - line.bias) / line.step
        // One sum of slack absorbs the rounding of this line against that of the estimate.
        return sum <= 2 ? -1 : Int32(min(sum.rounded(.down) - 2, 70_000))
    }
}
