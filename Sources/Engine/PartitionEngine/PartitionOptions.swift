/// How a partition is run. The defaults suit a worker; tests make them small.
package struct PartitionOptions: Sendable {
    /// Rows outside any run from which a fold begins, once a codebook is installed.
    package var foldRowCount = 512
    /// Most rows of one fold.
    package var foldRowLimit = 32_768
    /// A run is merged with the younger ones when it has at most this many times their rows together; 0 merges nothing.
    package var mergeRatio = 8.0
    /// Share of dead rows from which a run is rewritten without them.
    package var compactionDeadShare = 0.2
    /// Most candidates per probe that are kept between two comparisons of stored embeddings: this many, and a multiple
    /// of k.
    package var candidateFloor = 128
    package var candidatesPerMatch = 16
    /// Receipts kept for writes sent again.
    package var receiptLimit = 65_536
    /// Writes are refused while less than this is free on the disk.
    package var minimumFreeByteCount: UInt64 = 64 << 20
    /// Address space of the environment: the partition's largest size.
    package var mapByteCount = 1 << 40

    package init() {}
}
