/// Rows of one or more consecutive inverted lists, in group-major planes, in place.
@safe
package struct CodeBlock {
    /// First group of the first plane; plane `p` begins `p * planeStride` bytes later.
    package let firstPlane: UnsafePointer<UInt8>
    package let planeStride: Int
    /// Slots of the block, rows and padding between lists: at most 64 groups of 16.
    package let slotCount: Int
    /// `[slotCount]`, float16 bits.
    package let factors: UnsafePointer<UInt16>
    /// `[slotCount]`; ``absentRow`` in padding.
    package let rowIDs: UnsafePointer<UInt32>
    /// No factor of the block is greater.
    package let greatestFactor: Float

    package static let absentRow = UInt32.max

    package init(
        firstPlane: UnsafePointer<UInt8>,
        planeStride: Int,
        slotCount: Int,
        factors: UnsafePointer<UInt16>,
        rowIDs: UnsafePointer<UInt32>,
        greatestFactor: Float
    ) {
        unsafe self.firstPlane = unsafe firstPlane
        self.planeStride = planeStride
        self.slotCount = slotCount
        unsafe self.factors = unsafe factors
        unsafe self.rowIDs = unsafe rowIDs
        self.greatestFactor = greatestFactor
    }

    package var groupCount: Int { (slotCount + 15) / 16 }
}

/// Where codes are kept, list by list. The scanner asks; memory or a store answers.
package protocol InvertedLists<Failure> {
    associatedtype Failure: Error

    /// Passes every block of some lists, in storage order; consecutive lists may share a block. A block's memory is
    /// valid during `body` only.
    ///
    /// - Parameter lists: ascending, no list twice.
    /// - Returns: the rows of these lists.
    func forEachBlock(ofLists lists: ArraySlice<UInt32>, _ body: (CodeBlock) -> Void) throws(Failure) -> Int

    /// Whether the row may be found: neither deleted nor expired nor excluded from this search.
    func isLive(row: UInt32) -> Bool
}
