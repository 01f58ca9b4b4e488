import ClusterModel

/// What a worker holds of memory that the system cannot take back, what for, and how much it may hold.
public struct MemoryInfo: Hashable, Sendable {
    /// What sets the limit.
    public enum Limit: String, Hashable, Sendable {
        case unknown
        /// `worker.memory.limit`.
        case configuration
        case controlGroup
        case machine
    }

    public var limit: Limit
    /// 0 where it is unknown.
    public var limitByteCount: UInt64
    /// By all that count against the limit.
    public var heldByteCount: UInt64
    /// What is to stay free.
    public var reserveByteCount: UInt64
    /// Faces and copies are turned away now.
    public var isShort: Bool
    // What the worker's process holds memory for.
    public var searchQueueByteCount: UInt64
    public var searchBufferByteCount: UInt64
    public var writeQueueByteCount: UInt64
    public var logByteCount: UInt64
    public var copyByteCount: UInt64
    public var codebookByteCount: UInt64
    public var filterByteCount: UInt64
    public var trainingByteCount: UInt64
    public var programByteCount: UInt64
    /// Of mapped files, and so not held: stored embeddings that no inverted list has yet.
    public var freshByteCount: UInt64
    /// Address space of the partitions' files.
    public var mapByteCount: UInt64

    init(_ ledger: MemoryLedger) {
        limit = Limit(ledger.bound)
        limitByteCount = ledger.limitByteCount
        heldByteCount = ledger.heldByteCount
        reserveByteCount = ledger.reserveByteCount
        isShort = ledger.isShort
        searchQueueByteCount = ledger[.searchQueue]
        searchBufferByteCount = ledger[.searchBuffers]
        writeQueueByteCount = ledger[.writeQueue]
        logByteCount = ledger[.log]
        copyByteCount = ledger[.copies]
        codebookByteCount = ledger[.codebooks]
        filterByteCount = ledger[.filters]
        trainingByteCount = ledger[.training]
        programByteCount = ledger[.program]
        freshByteCount = ledger.freshByteCount
        mapByteCount = ledger.mapByteCount
    }
}

extension MemoryInfo.Limit {
    fileprivate init(_ bound: MemoryLedger.Bound) {
        self =
            switch bound {
            case .unknown: .unknown
            case .configured: .configuration
            case .controlGroup: .controlGroup
            case .machine: .machine
            }
    }
}
