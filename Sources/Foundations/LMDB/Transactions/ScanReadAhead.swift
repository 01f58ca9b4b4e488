/// Reads ahead of a scan of a table's entries, for environments whose pages are read alone.
///
/// Leaves that a table got in order lie near each other: when a scan comes to another stretch of the file, all of that
/// is read. Short scans, of the entries of one person, read nothing but their pages.
struct ScanReadAhead {
    /// As much as Linux reads ahead by itself.
    private static let stretchByteCount: UInt = 128 << 10
    /// Larger values lie on pages of their own, and not every scan looks at them.
    private static let largestInLeaf = 2048
    /// Stretches after which a scan is taken for a long one.
    private static let shortStretchCount = 1

    private let isNeeded: Bool
    private var stretch: UInt = 0
    private var stretchCount = -1

    init(isNeeded: Bool) {
        self.isNeeded = isNeeded
    }

    /// The scan has come to an entry with this value.
    mutating func reach(_ value: UnsafeRawBufferPointer) {
        guard isNeeded, value.count <= Self.largestInLeaf else { return }
        let reached = UInt(bitPattern: value.baseAddress) / Self.stretchByteCount
        if reached == stretch { return }
        stretch = reached
        stretchCount += 1
        guard stretchCount >= Self.shortStretchCount else { return }
        unsafe MappedPages.readAhead(
            UnsafeRawBufferPointer(
                start: UnsafeRawPointer(bitPattern: reached * Self.stretchByteCount),
                count: Int(Self.stretchByteCount)
            )
        )
    }
}
