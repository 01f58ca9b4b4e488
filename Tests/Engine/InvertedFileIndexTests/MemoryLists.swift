import InvertedFileIndex
import VectorMath

/// Inverted lists in memory: rows are numbered by their place in the batch; every list begins at a whole group.
final class MemoryLists: InvertedLists {
    typealias Failure = Never

    private struct List {
        var codes: [[UInt8]] = []
        var factors: [UInt16] = []
        var rows: [UInt32] = []
        /// Allocated: blocks outlive the call that passes them.
        var heads = UnsafeMutableBufferPointer<UInt8>(start: nil, count: 0)
        var records = UnsafeMutableBufferPointer<UInt8>(start: nil, count: 0)
    }

    var dead: Set<UInt32> = []
    private var lists: [List]
    private let planeCount: Int
    /// Groups of one block.
    private let blockGroups: Int

    init(_ batch: CodeBatch, codebook: Codebook, blockGroups: Int = 64) {
        planeCount = codebook.plan.planeCount
        self.blockGroups = blockGroups
        lists = [List](repeating: List(), count: codebook.listCount)
        let codeByteCount = codebook.plan.codeByteCount
        for row in 0..<batch.rowCount {
            let list = Int(batch.lists[row])
            lists[list].codes.append(Array(batch.codes[row * codeByteCount..<(row + 1) * codeByteCount]))
            lists[list].factors.append(batch.factors[row])
            lists[list].rows.append(UInt32(row))
        }
        for list in lists.indices { pack(list) }
    }

    deinit {
        for list in lists {
            list.heads.deallocate()
            list.records.deallocate()
        }
    }

    func rows(ofList list: Int) -> [UInt32] { lists[list].rows }

    private func pack(_ list: Int) {
        let slotCount = (lists[list].rows.count + 15) / 16 * 16
        let headCount = VectorKernels.headCount(planeCount: planeCount)
        var heads = [UInt8](repeating: 0, count: max(1, headCount * slotCount * VectorKernels.planeByteCount))
        var records = [UInt8](repeating: 0, count: max(1, slotCount * recordByteCount))
        let codes = lists[list].codes.flatMap { $0 }
        codes.withUnsafeBufferPointer { codes in
            let rowCodes = lists[list].rows.indices.map { Optional(codes.baseAddress! + $0 * planeCount * 16) }
            rowCodes.withUnsafeBufferPointer { rowCodes in
                lists[list].rows.withUnsafeBufferPointer { rowIDs in
                    lists[list].factors.withUnsafeBufferPointer { factors in
                        heads.withUnsafeMutableBufferPointer { heads in
                            records.withUnsafeMutableBufferPointer { records in
                                VectorKernels.packCodes(
                                    rowCodes: rowCodes,
                                    rowIDs: rowIDs,
                                    factors: factors,
                                    planeCount: planeCount,
                                    heads: heads.baseAddress!,
                                    headStride: slotCount * VectorKernels.planeByteCount,
                                    records: records.baseAddress!
                                )
                            }
                        }
                    }
                }
            }
        }
        lists[list].heads = .allocate(capacity: heads.count)
        lists[list].records = .allocate(capacity: records.count)
        _ = lists[list].heads.initialize(fromContentsOf: heads)
        _ = lists[list].records.initialize(fromContentsOf: records)
    }

    private var recordByteCount: Int { VectorKernels.recordByteCount(planeCount: planeCount) }

    func announce(lists: ArraySlice<UInt32>) {}

    func forEachBlock(ofLists wanted: ArraySlice<UInt32>, _ body: (VectorKernels.CodeBlock) -> Void) -> Int {
        for list in wanted { forEachBlock(of: lists[Int(list)], body) }
        return wanted.reduce(0) { $0 + lists[Int($1)].rows.count }
    }

    private func forEachBlock(of list: List, _ body: (VectorKernels.CodeBlock) -> Void) {
        let groupCount = (list.rows.count + 15) / 16
        for first in stride(from: 0, to: groupCount, by: blockGroups) {
            body(
                VectorKernels.CodeBlock(
                    heads: UnsafePointer(list.heads.baseAddress!) + first * VectorKernels.groupByteCount,
                    headStride: groupCount * VectorKernels.groupByteCount,
                    records: UnsafePointer(list.records.baseAddress!) + 16 * first * recordByteCount,
                    groupCount: min(blockGroups, groupCount - first)
                )
            )
        }
    }

    func keepLive(
        rows: UnsafeMutableBufferPointer<UInt32>,
        estimates: UnsafeMutableBufferPointer<Float>
    ) -> Int {
        let live = zip(rows, estimates).filter { !dead.contains($0.0) }
        for (index, found) in live.enumerated() { (rows[index], estimates[index]) = found }
        return live.count
    }
}
