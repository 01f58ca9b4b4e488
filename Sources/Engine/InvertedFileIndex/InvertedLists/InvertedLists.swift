/// Some rows of one inverted list, in group-major planes, in place.
@safe
package struct CodeBlock {
    /// First group of the first plane; plane `p` begins `p * planeStride` bytes later.
    package let firstPlane: UnsafePointer<UInt8>
    package let planeStride: Int
    /// Groups of 16 rows: at most 64.
    package let groupCount: Int
    /// Rows of these groups that exist.
    package let rowCount: Int
    /// `[rowCount]`, float16 bits.
    package let factors: UnsafePointer<UInt16>
    /// `[rowCount]`.
    package let rowIDs: UnsafePointer<UInt32>
    /// No factor of the block is greater.
    package let greatestFactor: Float

    package init(
        firstPlane: UnsafePointer<UInt8>,
        planeStride: Int,
        groupCount: Int,
        rowCount: Int,
        factors: UnsafePointer<UInt16>,
        rowIDs: UnsafePointer<UInt32>,
        greatestFactor: Float
    ) {
        unsafe self.firstPlane = unsafe firstPlane
        self.planeStride = planeStride
        self.groupCount = groupCount
        self.rowCount = rowCount
        unsafe self.factors = unsafe factors
        unsafe self.rowIDs = unsafe rowIDs
        self.greatestFactor = greatestFactor
    }
}

/// Where codes are kept, list by list. The scanner asks; memory or a store answers.
package protocol InvertedLists<Failure> {
    associatedtype Failure: Error

    /// Passes every block of one list, in storage order; the block's memory is valid during `body` only.
    func forEachBlock(ofList list: UInt32, _ body: (CodeBlock) -> Void) throws(Failure)

    /// Whether the row may be found: neither deleted nor expired nor excluded from this search.
    func isLive(row: UInt32) -> Bool
}
