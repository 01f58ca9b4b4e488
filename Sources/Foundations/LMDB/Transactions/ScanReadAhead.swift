/// Reads ahead of a scan of a table's entries, for environments whose pages are read alone.
///
/// Leaves that a table got in order lie near each other: where a scan goes from one stretch of the file to the next,
/// and has waited for the disk, all of the stretch is read, and the next one. Leaves of keys that came in no order lie
/// anywhere, among pages of other tables: they are read alone. Short scans, of the entries of one person, read nothing
/// but their pages.
package struct ScanReadAhead {
    /// As much as Linux reads ahead by itself.
    package static let stretchByteCount: UInt = 128 << 10
    /// Larger values lie on pages of their own, and not every scan looks at them.
    private static let largestInLeaf = 2048
    /// Of the last eight steps from leaf to leaf, those that led to the same stretch or the next, in a scan that is
    /// taken for one in order.
    private static let leastOrderedCount = 4
    /// Leaves between two looks at whether the scan has had to wait.
    private static let leavesPerLook = 64

    private let isNeeded: Bool
    private let leafMask = ~(UInt(MappedPages.pageByteCount) - 1)
    private var leaf: UInt = 0
    private var stretch: UInt = 0
    private var leafCount = 0
    /// A bit for each of the last eight steps, set for one in order.
    private var steps: UInt8 = 0
    /// Whether the scan came to this stretch from the one before.
    private var goesOn = false
    /// Stretches that were asked for last.
    private var asked: Range<UInt> = 0..<0
    private var faultsBefore = 0
    private var hasWaited = false
    private var nextLook = 0

    package init(isNeeded: Bool) {
        self.isNeeded = isNeeded
    }

    /// The scan has come to an entry.
    mutating func reach(_ entry: Entry) {
        guard isNeeded, unsafe entry.value.count <= Self.largestInLeaf else { return }
        // An empty value may lie at the end of its page, which is the next one's beginning; a key never does.
        let address = unsafe UInt(bitPattern: entry.key.baseAddress)
        guard let wanted = stretches(reaching: address, faultCount: MappedPages.majorFaultCount) else { return }
        unsafe MappedPages.readAhead(
            UnsafeRawBufferPointer(
                start: UnsafeRawPointer(bitPattern: wanted.lowerBound * Self.stretchByteCount),
                count: wanted.count * Int(Self.stretchByteCount)
            )
        )
    }

    /// What is to be read when the scan has come to an entry of a leaf; nil for nothing, as mostly.
    ///
    /// - Parameters:
    ///   - address: of the entry.
    ///   - faultCount: how often the thread has waited for a page so far; asked seldom.
    /// - Returns: numbers of stretches: addresses over ``stretchByteCount``.
    package mutating func stretches(reaching address: UInt, faultCount: () -> Int) -> Range<UInt>? {
        let reached = address & leafMask
        if reached == leaf { return nil }
        leaf = reached
        leafCount += 1
        // Most scans have one leaf, and need not be counted.
        if leafCount == 2 { faultsBefore = faultCount() }
        let now = reached / Self.stretchByteCount
        let isInOrder = now == stretch || now == stretch + 1
        if now != stretch { goesOn = isInOrder }
        stretch = now
        steps = steps << 1 | (isInOrder ? 1 : 0)
        guard isInOrder, steps.nonzeroBitCount >= Self.leastOrderedCount else { return nil }
        let first = asked.contains(now) ? asked.upperBound : now
        let end = now + (goesOn ? 2 : 1)
        guard first < end, isWaiting(faultCount) else { return nil }
        asked = now..<end
        return first..<end
    }

    /// Whether pages of the scan were missing: from the first time on that is taken for so.
    private mutating func isWaiting(_ faultCount: () -> Int) -> Bool {
        if hasWaited { return true }
        guard leafCount >= nextLook else { return false }
        nextLook = leafCount + Self.leavesPerLook
        hasWaited = faultCount() > faultsBefore
        return hasWaited
    }
}
