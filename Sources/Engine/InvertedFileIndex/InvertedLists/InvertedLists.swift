package import VectorMath

/// Where codes are kept, list by list. The scanner asks; memory or a store answers.
package protocol InvertedLists<Failure> {
    associatedtype Failure: Error

    /// Some lists are about to be passed: where their blocks may have to be read from the disk, that begins now.
    func announce(lists: ArraySlice<UInt32>) throws(Failure)

    /// Passes every block of some lists, in storage order; consecutive lists may share a block. A block's memory stays
    /// valid until the scan that asks returns.
    ///
    /// - Parameter lists: ascending, no list twice.
    /// - Returns: the rows of these lists.
    func forEachBlock(
        ofLists lists: ArraySlice<UInt32>,
        _ body: (VectorKernels.CodeBlock) -> Void
    ) throws(Failure) -> Int

    /// Moves the rows that may be found, neither deleted nor expired nor excluded from this search, to the front with
    /// their estimates, in their order; returns how many they are. One call for many rows: it is not inlined.
    func keepLive(
        rows: UnsafeMutableBufferPointer<UInt32>,
        estimates: UnsafeMutableBufferPointer<Float>
    ) -> Int
}
