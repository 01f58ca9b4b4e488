internal import PartitionStore

/// Own rows by the rows that they were copied from. Takes room for the chunks of which a row was copied: ids are used
/// once, so a partition may have had many times the rows that are there.
struct CopiedRows {
    private static let absent = UInt32.max

    private var chunks: [UInt32: [UInt32]] = [:]

    /// The copy of a row; nil when it was not copied.
    subscript(row: UInt32) -> UInt32? {
        get {
            guard let chunk = chunks[row / UInt32(RowChunk.rowCount)] else { return nil }
            let copy = chunk[Int(row) % RowChunk.rowCount]
            return copy == Self.absent ? nil : copy
        }
        set {
            chunks[
                row / UInt32(RowChunk.rowCount),
                default: [UInt32](repeating: Self.absent, count: RowChunk.rowCount)
            ][Int(row) % RowChunk.rowCount] = newValue ?? Self.absent
        }
    }
}
