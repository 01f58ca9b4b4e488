import FaceModel
import PartitionEngine
import PartitionStore

/// What orders writes in tests of the log, as a primary does: each entry behind the one before.
struct LogAuthor {
    let partition: Partition
    var epoch: UInt64
    private(set) var sequence: UInt64
    private(set) var chain: UInt64

    /// Goes on behind a partition's last entry.
    init(_ partition: Partition, epoch: UInt64) throws {
        let position = try partition.logExtent()
        self.partition = partition
        self.epoch = epoch
        sequence = position.lastSequence
        chain = position.lastChain
    }

    /// Goes back to an entry that it wrote: what follows is another history.
    mutating func rewind(to entry: LogEntry) {
        (sequence, chain) = (entry.sequence, entry.chain)
    }

    mutating func entry(_ batch: WriteBatch) throws -> LogEntry {
        let entry = try partition.logEntry(for: batch, epoch: epoch, sequence: sequence + 1, after: chain)
        (sequence, chain) = (entry.sequence, entry.chain)
        // As it comes from another replica.
        return try LogEntry(bytes: entry.encoded())
    }

    mutating func entry(_ operation: WriteBatch.Operation) throws -> LogEntry {
        try entry(WriteBatch(key: .random(), operation: operation))
    }
}
