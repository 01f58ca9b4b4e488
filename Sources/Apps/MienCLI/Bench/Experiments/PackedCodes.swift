import InvertedFileIndex
import VectorMath

/// The codes of some embeddings in memory, laid out as a partition stores them: in chunks of 1024 slots, heads apart,
/// a record for each slot, list after list.
@safe
final class PackedCodes {
    private static let chunkSlotCount = VectorKernels.maximumScanGroups * VectorKernels.groupRows
    private static let headByteCount = chunkSlotCount * VectorKernels.planeByteCount
    private static let rowsPerBatch = 4096

    let codebook: Codebook
    let rowCount: Int
    private let planeCount: Int
    private let headCount: Int
    private let recordByteCount: Int
    /// Of each list, and behind the last: the first slot, a whole group.
    private let firstSlots: [Int]
    private let listRowCounts: [Int]
    /// Slots of all heads, chunk by chunk, and all records, slot by slot.
    private let heads: UnsafeMutablePointer<UInt8>
    private let records: UnsafeMutablePointer<UInt8>

    /// Bytes of one slot.
    var slotByteCount: Int { headCount * VectorKernels.planeByteCount + recordByteCount }
    /// Bytes of a slot that are read of every row.
    var headBytesPerRow: Int { headCount * VectorKernels.planeByteCount }
    var recordBytesPerRow: Int { recordByteCount }

    /// - Parameters:
    ///   - faces: `[… × dimension]`.
    ///   - rows: those of them that are coded; their places in `faces` are their ids.
    init(faces: [Float], rows: [Int], codebook: Codebook) {
        self.codebook = codebook
        rowCount = rows.count
        planeCount = codebook.plan.planeCount
        headCount = VectorKernels.headCount(planeCount: planeCount)
        recordByteCount = VectorKernels.recordByteCount(planeCount: planeCount)
        let coded = Self.encoded(faces, rows, codebook)
        var members = [[UInt32]](repeating: [], count: codebook.listCount)
        for (place, list) in coded.lists.enumerated() { members[Int(list)].append(UInt32(place)) }
        var firstSlots = [0]
        for list in members {
            let groupCount = (list.count + VectorKernels.groupRows - 1) / VectorKernels.groupRows
            firstSlots.append(firstSlots[firstSlots.count - 1] + groupCount * VectorKernels.groupRows)
        }
        self.firstSlots = firstSlots
        listRowCounts = members.map(\.count)
        let slotCount = firstSlots[codebook.listCount]
        let chunkCount = (slotCount + Self.chunkSlotCount - 1) / Self.chunkSlotCount
        unsafe heads = Self.zeros(chunkCount * headCount * Self.headByteCount)
        unsafe records = Self.zeros(chunkCount * Self.chunkSlotCount * recordByteCount)
        for list in members.indices {
            var first = 0
            while first < members[list].count {
                let slot = firstSlots[list] + first
                let count = min(members[list].count - first, Self.chunkSlotCount - slot % Self.chunkSlotCount)
                pack(members[list][first..<first + count], coded, rows, at: slot)
                first += count
            }
        }
    }

    deinit {
        unsafe heads.deallocate()
        unsafe records.deallocate()
    }

    private static func zeros(_ byteCount: Int) -> UnsafeMutablePointer<UInt8> {
        let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: max(64, byteCount), alignment: 4096)
        unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0)
        return unsafe bytes.baseAddress!.assumingMemoryBound(to: UInt8.self)
    }

    private struct Coded {
        var codes: [UInt8] = []
        var factors: [UInt16] = []
        var lists: [UInt32] = []
    }

    private static func encoded(_ faces: [Float], _ rows: [Int], _ codebook: Codebook) -> Coded {
        let dimension = codebook.dimension
        var coded = Coded()
        coded.codes.reserveCapacity(rows.count * codebook.plan.codeByteCount)
        for first in stride(from: 0, to: rows.count, by: rowsPerBatch) {
            var values: [Float] = []
            values.reserveCapacity(rowsPerBatch * dimension)
            for row in rows[first..<min(rows.count, first + rowsPerBatch)] {
                values.append(contentsOf: faces[row * dimension..<(row + 1) * dimension])
            }
            let batch = codebook.encode(embeddings: values)
            coded.codes.append(contentsOf: batch.codes)
            coded.factors.append(contentsOf: batch.factors)
            coded.lists.append(contentsOf: batch.lists)
        }
        return coded
    }

    private func heads(atSlot slot: Int) -> UnsafeMutablePointer<UInt8> {
        let chunk = slot / Self.chunkSlotCount
        let place = slot % Self.chunkSlotCount
        return unsafe heads + chunk * headCount * Self.headByteCount + place * VectorKernels.planeByteCount
    }

    /// Packs rows of one list into slots of one chunk.
    private func pack(_ places: ArraySlice<UInt32>, _ coded: Coded, _ rows: [Int], at slot: Int) {
        let codeByteCount = codebook.plan.codeByteCount
        let rowIDs = places.map { UInt32(rows[Int($0)]) }
        let factors = places.map { coded.factors[Int($0)] }
        unsafe coded.codes.withUnsafeBufferPointer { codes in
            let starts: [UnsafePointer<UInt8>?] = unsafe places.map {
                unsafe codes.baseAddress! + Int($0) * codeByteCount
            }
            unsafe starts.withUnsafeBufferPointer { starts in
                unsafe rowIDs.withUnsafeBufferPointer { rowIDs in
                    unsafe factors.withUnsafeBufferPointer { factors in
                        unsafe VectorKernels.packCodes(
                            rowCodes: starts,
                            rowIDs: rowIDs,
                            factors: factors,
                            planeCount: planeCount,
                            heads: heads(atSlot: slot),
                            headStride: Self.headByteCount,
                            records: records + slot * recordByteCount
                        )
                    }
                }
            }
        }
    }

    func rowCount(ofList list: Int) -> Int { listRowCounts[list] }

    /// Passes the blocks of some lists in storage order; lists that follow each other share a block.
    ///
    /// - Parameter lists: ascending.
    func forEachBlock(ofLists lists: some Sequence<Int>, _ body: (VectorKernels.CodeBlock) -> Void) {
        var slots = 0..<0
        for list in lists {
            if firstSlots[list] == slots.upperBound {
                slots = slots.lowerBound..<firstSlots[list + 1]
                continue
            }
            forEachBlock(of: slots, body)
            slots = firstSlots[list]..<firstSlots[list + 1]
        }
        forEachBlock(of: slots, body)
    }

    private func forEachBlock(of slots: Range<Int>, _ body: (VectorKernels.CodeBlock) -> Void) {
        var slot = slots.lowerBound
        while slot < slots.upperBound {
            let end = min(slots.upperBound, (slot / Self.chunkSlotCount + 1) * Self.chunkSlotCount)
            unsafe body(
                VectorKernels.CodeBlock(
                    heads: heads(atSlot: slot),
                    headStride: Self.headByteCount,
                    records: records + slot * recordByteCount,
                    groupCount: (end - slot) / VectorKernels.groupRows
                )
            )
            slot = end
        }
    }
}

/// A probe ready to scan the codes of one codebook.
@safe
final class CodeProbe {
    let codebook: Codebook
    let estimator: VectorKernels.Estimator
    /// Inner product with the collection's mean, a part of every estimate.
    let meanTerm: Float
    private let scan: VectorKernels.ScanProbe
    private let tables: UnsafeMutableBufferPointer<UInt8>
    private let weights: UnsafeMutableBufferPointer<Int8>
    private let rowIDs: UnsafeMutableBufferPointer<UInt32>
    private let estimates: UnsafeMutableBufferPointer<Float>

    /// - Parameter probe: a unit vector.
    init(_ probe: [Float], codebook: Codebook) {
        self.codebook = codebook
        let planes = codebook.plan.planes
        let headCount = VectorKernels.headCount(planeCount: planes.count)
        let weightCount = (planes.count - headCount) * CodePlane.dimension
        let tables: UnsafeMutableBufferPointer<UInt8> = unsafe Self.aligned(headCount * VectorKernels.lutPlaneByteCount)
        let weights: UnsafeMutableBufferPointer<Int8> = unsafe Self.aligned(max(CodePlane.dimension, weightCount))
        unsafe (self.tables, self.weights) = unsafe (tables, weights)
        let capacity = VectorKernels.maximumScanGroups * VectorKernels.groupRows
        unsafe rowIDs = .allocate(capacity: capacity)
        unsafe estimates = .allocate(capacity: capacity)
        let rotated = codebook.rotate(probes: probe)
        estimator = unsafe rotated.withUnsafeBufferPointer { rotated in
            unsafe codebook.scale.withUnsafeBufferPointer { scale in
                unsafe VectorKernels.buildLUT(
                    probe: rotated,
                    planes: planes,
                    scale: scale,
                    lut: tables,
                    weights: UnsafeMutableBufferPointer(rebasing: weights[..<weightCount])
                )
            }
        }
        meanTerm = zip(probe, codebook.mean).reduce(0) { $0 + $1.0 * $1.1 }
        scan = unsafe VectorKernels.ScanProbe(
            lut: tables.baseAddress!,
            weights: weights.baseAddress!,
            estimator: estimator,
            meanTerm: meanTerm
        ).writing(rowIDs: rowIDs.baseAddress!, estimates: estimates.baseAddress!)
    }

    deinit {
        unsafe tables.deallocate()
        unsafe weights.deallocate()
        unsafe rowIDs.deallocate()
        unsafe estimates.deallocate()
    }

    private static func aligned<Element: BitwiseCopyable>(_ count: Int) -> UnsafeMutableBufferPointer<Element> {
        let bytes = UnsafeMutableRawBufferPointer.allocate(
            byteCount: count * MemoryLayout<Element>.stride,
            alignment: VectorKernels.tableAlignment
        )
        return unsafe bytes.bindMemory(to: Element.self)
    }

    /// The sum of heads that a row stays below seldom, when it is as good as a row of this estimate: by so many
    /// deviations of the codebook's line. Rows at or below it are not read on; -1 reads all on.
    func headThreshold(forEstimate estimate: Float, deviations: Float) -> Int32 {
        let least = codebook.scanCalibration.head.least(for: estimate - meanTerm, deviations: deviations)
        let sum = (least - estimator.headBias) / estimator.step
        return sum > 2 ? Int32(min(sum.rounded(.down) - 2, 70_000)) : -1
    }

    /// The rows of a block, those that pass both thresholds, and their estimates; valid until the next call.
    func scan(
        _ block: VectorKernels.CodeBlock,
        headThreshold: Int32 = -1,
        leastEstimate: Float = -.infinity
    ) -> (rows: UnsafeMutableBufferPointer<UInt32>, estimates: UnsafeMutableBufferPointer<Float>) {
        var called = scan
        called.headThreshold = headThreshold
        called.leastEstimate = leastEstimate
        unsafe withUnsafeMutablePointer(to: &called) { called in
            unsafe withUnsafePointer(to: block) { blocks in
                unsafe VectorKernels.scanCodes(
                    UnsafeBufferPointer(start: blocks, count: 1),
                    before: block.following,
                    planeCount: codebook.plan.planeCount,
                    probes: UnsafeMutableBufferPointer(start: called, count: 1)
                )
            }
        }
        return unsafe (called.rowIDs, called.estimates)
    }
}
