import LMDB
import Testing

/// When a scan from leaf to leaf has more read than its leaves.
struct ScanReadAheadTests {
    private static let page: UInt = 4096
    private static let base: UInt = 1 << 40

    /// What is asked for on a way over leaves, given by the numbers of their pages, with three entries each; stretches
    /// are counted from that of page 0. And how often faults were counted.
    private func asked(_ leaves: [UInt], isCold: Bool) -> (stretches: [UInt], looks: Int) {
        var scan = ScanReadAhead(isNeeded: true)
        var stretches: [UInt] = []
        var (looks, faults) = (0, 7)
        for leaf in leaves {
            if isCold { faults += 1 }
            for entry in 0..<3 {
                let address = Self.base + leaf * Self.page + UInt(100 + 900 * entry)
                let wanted = scan.stretches(reaching: address) {
                    looks += 1
                    return faults
                }
                if let wanted { stretches += wanted.map { $0 - Self.base / ScanReadAhead.stretchByteCount } }
            }
        }
        return (stretches, looks)
    }

    /// Each stretch once, and the next before the scan comes to it.
    @Test func aColdTableInOrderIsReadAhead() {
        #expect(asked(Array(0..<320), isCold: true).stretches == Array(0...10))
        // Every fourth page is a leaf of the table.
        #expect(asked((0..<80).map { 4 * $0 }, isCold: true).stretches == Array(0...10))
    }

    @Test func whatIsInMemoryIsNotAskedFor() {
        let warm = asked(Array(0..<320), isCold: false)
        #expect(warm.stretches.isEmpty && warm.looks <= 7)
    }

    /// As faces lie, whose ids are random, whether or not they are in memory.
    @Test func leavesInNoOrderAreReadAlone() {
        let leaves = (0..<20_000 as Range<UInt>).map { $0 * 7919 % 20_011 }
        for isCold in [true, false] {
            let scan = asked(leaves, isCold: isCold)
            #expect(scan.stretches.isEmpty && scan.looks == 1)
        }
    }

    /// Some leaves of each commit: of them the stretch is read, and not what comes behind it.
    @Test func leavesInOrderHereAndThereAreReadWhereTheyAre() {
        let leaves = (0..<10 as Range<UInt>).flatMap { group in (0..<10).map { 640 * group + $0 } }
        #expect(asked(leaves, isCold: true).stretches == (0..<10).map { 20 * $0 })
    }

    @Test func aShortScanReadsItsPages() {
        #expect(asked(Array(0..<4), isCold: true).stretches.isEmpty)
        #expect(asked([3], isCold: true).looks == 0)
    }
}
