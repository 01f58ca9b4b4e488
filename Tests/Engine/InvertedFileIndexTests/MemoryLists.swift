import InvertedFileIndex
import VectorMath

/// Inverted lists in memory: rows are numbered by their place in the batch; every list begins at a whole group.
final class MemoryLists: InvertedLists {
    typealias Failure = Never

    private struct List {
        var codes: [[UInt8]] = []
        var factors: [UInt16] = []
        var rows: [UInt32] = []
        var planes: [UInt8] = []
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

    func rows(ofList list: Int) -> [UInt32] { lists[list].rows }

    private func pack(_ list: Int) {
        let groupCount = (lists[list].rows.count + 15) / 16
        let planeByteCount = groupCount * VectorKernels.groupByteCount
        var planes = [UInt8](repeating: 0, count: max(1, planeCount * planeByteCount))
        let codes = lists[list].codes.flatMap { $0 }
        let rowCount = lists[list].codes.count
        planes.withUnsafeMutableBufferPointer { planes in
            codes.withUnsafeBufferPointer { codes in
                let rowCodes = (0..<rowCount).map { codes.baseAddress.map { $0 }! + $0 * planeCount * 16 }
                let pointers = (0..<planeCount).map { Optional(planes.baseAddress! + $0 * planeByteCount) }
                rowCodes.map { Optional($0) }.withUnsafeBufferPointer { rowCodes in
                    pointers.withUnsafeBufferPointer { VectorKernels.packCodes(rowCodes: rowCodes, planes: $0) }
                }
            }
        }
        lists[list].planes = planes
    }

    func forEachBlock(ofLists wanted: ArraySlice<UInt32>, _ body: (CodeBlock) -> Void) -> Int {
        for list in wanted { forEachBlock(of: lists[Int(list)], body) }
        return wanted.reduce(0) { $0 + lists[Int($1)].rows.count }
    }

    private func forEachBlock(of list: List, _ body: (CodeBlock) -> Void) {
        let rowCount = list.rows.count
        let groupCount = (rowCount + 15) / 16
        var first = 0
        while first < groupCount {
            let groups = min(blockGroups, groupCount - first)
            let rows = min(rowCount - 16 * first, 16 * groups)
            let factors = list.factors[16 * first..<16 * first + rows]
            let greatest = factors.map { Float(Float16(bitPattern: $0)) }.max() ?? 0
            list.planes.withUnsafeBufferPointer { planes in
                list.factors.withUnsafeBufferPointer { factors in
                    list.rows.withUnsafeBufferPointer { rowIDs in
                        body(
                            CodeBlock(
                                firstPlane: planes.baseAddress! + first * VectorKernels.groupByteCount,
                                planeStride: groupCount * VectorKernels.groupByteCount,
                                slotCount: rows,
                                factors: factors.baseAddress! + 16 * first,
                                rowIDs: rowIDs.baseAddress! + 16 * first,
                                greatestFactor: greatest
                            )
                        )
                    }
                }
            }
            first += groups
        }
    }

    func isLive(row: UInt32) -> Bool { !dead.contains(row) }
}
