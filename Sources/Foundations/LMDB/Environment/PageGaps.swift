/// Clears the gaps of the pages of a compacting copy, page after page in the order of its file.
///
/// LMDB puts these pages together in memory that held others of the copy before, the first ones of large values among
/// them, and brings nothing to where a branch or a leaf has room left (`mdb_env_cwalk`, `mdb_page_copy` of 0.9). What
/// lay there would go into the file, and stay until that page is written again.
///
///     offset  bytes  of a page
///         10      2  flags: 1 of a branch, 2 of a leaf, 4 of the first page of a large value, 8 of a meta page
///         12      4  of a large value: how many pages it has; those behind the first have no header
///         12      2  of a branch or a leaf: where its gap begins
///         14      2  and where it ends, both from the page's first byte
///
/// Leaves of keys that have several values of one length (flag 32) look otherwise; no table here is of that kind.
struct PageGaps {
    private static let headerByteCount = 16
    private static let branchOrLeaf: UInt16 = 1 | 2
    private static let largeValue: UInt16 = 4
    private static let sideBySide: UInt16 = 32

    private let pageByteCount: Int
    /// Pages of a large value that are still to come.
    private var pagesToPass = 0

    init(pageByteCount: Int) {
        self.pageByteCount = pageByteCount
    }

    /// - Parameter pages: whole ones, which follow those of the call before; they may end inside of a large value. A
    ///   piece of a page at the end, as a copy that failed has it, is left as it is.
    mutating func clear(_ pages: UnsafeMutableRawBufferPointer) {
        for first in stride(from: 0, through: pages.count - pageByteCount, by: pageByteCount) {
            if pagesToPass > 0 {
                pagesToPass -= 1
                continue
            }
            let flags = unsafe pages.loadUnaligned(fromByteOffset: first + 10, as: UInt16.self)
            if flags & Self.largeValue != 0 {
                let pageCount = unsafe pages.loadUnaligned(fromByteOffset: first + 12, as: UInt32.self)
                pagesToPass = max(0, Int(pageCount) - 1)
            } else if flags & Self.branchOrLeaf != 0, flags & Self.sideBySide == 0 {
                let begin = unsafe Int(pages.loadUnaligned(fromByteOffset: first + 12, as: UInt16.self))
                let end = unsafe Int(pages.loadUnaligned(fromByteOffset: first + 14, as: UInt16.self))
                // Of a page that is damaged nothing is believed; whoever reads the copy finds it.
                guard Self.headerByteCount <= begin, begin < end, end <= pageByteCount else { continue }
                let gap = unsafe UnsafeMutableRawBufferPointer(rebasing: pages[first + begin..<first + end])
                unsafe gap.initializeMemory(as: UInt8.self, repeating: 0)
            }
        }
    }
}
