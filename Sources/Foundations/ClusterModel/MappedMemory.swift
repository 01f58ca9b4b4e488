/// How much of what searches read is in memory: bytes of the files of some replicas, and how many of them are resident.
package struct MappedMemory: Hashable, Sendable {
    /// Of the codes, which every search scans.
    package var codeByteCount: UInt64
    package var residentCodeByteCount: UInt64
    /// Of the stored embeddings, of which a search reads some, and an exact one all.
    package var rowByteCount: UInt64
    package var residentRowByteCount: UInt64

    package init(
        codeByteCount: UInt64 = 0,
        residentCodeByteCount: UInt64 = 0,
        rowByteCount: UInt64 = 0,
        residentRowByteCount: UInt64 = 0
    ) {
        self.codeByteCount = codeByteCount
        self.residentCodeByteCount = residentCodeByteCount
        self.rowByteCount = rowByteCount
        self.residentRowByteCount = residentRowByteCount
    }

    /// Share, 0…1, of what every search reads that is in memory: of the codes, or of the embeddings where there are
    /// no codes. 1 of nothing.
    package var warmth: Double {
        let (resident, total) =
            codeByteCount > 0 ? (residentCodeByteCount, codeByteCount) : (residentRowByteCount, rowByteCount)
        return total == 0 ? 1 : min(Double(resident) / Double(total), 1)
    }

    /// The warmth from which a replica counts as warm: what is missing of it then is read while searches come.
    package static let leastWarmth = 0.9

    package static func + (left: MappedMemory, right: MappedMemory) -> MappedMemory {
        MappedMemory(
            codeByteCount: left.codeByteCount + right.codeByteCount,
            residentCodeByteCount: left.residentCodeByteCount + right.residentCodeByteCount,
            rowByteCount: left.rowByteCount + right.rowByteCount,
            residentRowByteCount: left.residentRowByteCount + right.residentRowByteCount
        )
    }
}
