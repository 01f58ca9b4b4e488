/// Memory that the training of a codebook takes.
///
/// The sample's rows as float32, their first 128 components rotated, tables and scores of a block of 4096 rows, and
/// what calibrates: of 50 000 rows of dimension 512 in 512 lists 178 MiB, where 155 to 175 were measured.
package enum TrainingMemory {
    /// Whoever trains has to have them free, beyond what is kept in reserve.
    package static func byteCount(rowCount: UInt64, dimension: Int, listCount: UInt32) -> UInt64 {
        saturating(rowCount, bytesPerRow(dimension)) &+ fixedByteCount(dimension: dimension, listCount: listCount)
    }

    /// The most rows whose training takes no more than this; a few thousand in any case, without which there is none.
    package static func rowLimit(byteCount: UInt64, dimension: Int, listCount: UInt32) -> UInt64 {
        let fixed = fixedByteCount(dimension: dimension, listCount: listCount)
        return max(leastRowCount, (byteCount - min(fixed, byteCount)) / bytesPerRow(dimension))
    }

    private static let leastRowCount: UInt64 = 4096
    private static let rotatedDimension = 128
    private static let blockRows: UInt64 = 4096
    /// Of the dimension, for every row of a block: mates, their turned form, tables, and the codes compared with.
    private static let calibratedBytes: UInt64 = 24

    private static func bytesPerRow(_ dimension: Int) -> UInt64 {
        4 * UInt64(dimension + min(dimension, rotatedDimension))
    }

    private static func fixedByteCount(dimension: Int, listCount: UInt32) -> UInt64 {
        blockRows * (calibratedBytes * UInt64(dimension) + 4 * UInt64(listCount))
    }

    private static func saturating(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (product, overflow) = left.multipliedReportingOverflow(by: right)
        return overflow ? .max / 2 : product
    }
}
