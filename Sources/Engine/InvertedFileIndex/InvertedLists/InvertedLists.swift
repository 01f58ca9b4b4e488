/// Slots of one or more consecutive inverted lists, in place, laid out as `vector_kernels.h` says.
@safe
package struct CodeBlock {
    /// First group of the first head; head `p` begins `p * headStride` bytes later.
    package let heads: UnsafePointer<UInt8>
    package let headStride: Int
    /// Record of the first slot.
    package let records: UnsafePointer<UInt8>
    /// At most 64 groups of 16 slots.
    package let groupCount: Int

    package init(
        heads: UnsafePointer<UInt8>,
        headStride: Int,
        records: UnsafePointer<UInt8>,
        groupCount: Int
    ) {
        unsafe self.heads = unsafe heads
        self.headStride = headStride
        unsafe self.records = unsafe records
        self.groupCount = groupCount
    }
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

    /// Moves the rows that may be found, neither deleted nor expired nor excluded from this search, to the front with
    /// their estimates, in their order; returns how many they are. One call for many rows: it is not inlined.
    func keepLive(
        rows: UnsafeMutableBufferPointer<UInt32>,
        estimates: UnsafeMutableBufferPointer<Float>
    ) -> Int
}
