package import InvertedFileIndex
internal import LMDB
package import PartitionStore

/// Why a partition could not do what it was asked.
package enum PartitionError: Error, Sendable {
    case store(PartitionStoreError)
    case codebook(CodebookError)
    /// The folder holds a partition already.
    case alreadyExists(path: String)
    /// Fewer bytes are free on the disk than the partition's reserve.
    case storageFull(path: String, freeByteCount: UInt64, minimumByteCount: UInt64)
    /// The write does not fit the collection.
    case invalidWrite(reason: String)
    /// The codebook is neither installed nor newer, or codes of two generations are there already.
    case generationConflict(installed: UInt32, offered: UInt32)
    /// The log does not allow what a replica asked of it.
    case logRefused(LogRefusal)
    /// Every row id of 32 bits was used, or is kept for what was ordered before.
    case rowIDsExhausted
    /// The matches of a search take so many bytes or more, and may take fewer.
    case answerTooLarge(byteCount: Int, byteLimit: Int)
    /// Whoever asked for a read said that it should end before all was read.
    case stopped

    init(_ error: any Error) {
        switch error {
        case let error as PartitionError: self = error
        case let error as PartitionStoreError: self = .store(error)
        case let error as LMDBError: self = .store(.environment(error))
        case let error as CodebookError: self = .codebook(error)
        default: preconditionFailure("the engine throws its own errors only: \(error)")
        }
    }
}

extension PartitionError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .store(let error): "\(error)"
        case .codebook(let error): "\(error)"
        case .alreadyExists(let path): "\(path) holds a partition already"
        case .storageFull(let path, let free, let minimum):
            "the disk of \(path) has \(free >> 20) MiB free and \(minimum >> 20) MiB are kept in reserve; "
                + "free some space, then write again"
        case .invalidWrite(let reason): reason
        case .generationConflict(let installed, let offered):
            "codebook generation \(installed) is installed and generation \(offered) cannot take its place"
        case .logRefused(let refusal): "\(refusal)"
        case .rowIDsExhausted: "the partition has none of its 2^32 row ids left for more faces; split its shard"
        case .answerTooLarge(let byteCount, let byteLimit):
            "the matches would take \(byteCount) bytes or more, and there is room for \(byteLimit)"
        case .stopped: "it was told to stop before all was read"
        }
    }

    /// Whether the files are damaged: the partition must not answer any more.
    package var isCorruption: Bool {
        switch self {
        case .store(let error): error.isCorruption
        case .codebook(.malformed), .codebook(.checksumMismatch): true
        default: false
        }
    }

    /// Whether there is no room on the disk.
    package var isStorageFull: Bool {
        switch self {
        case .storageFull, .store(.environment(.noSpace)), .store(.environment(.mapFull)): true
        default: false
        }
    }

    /// Whether the file has used all of its address space.
    package var isMapFull: Bool {
        if case .store(.environment(.mapFull)) = self { true } else { false }
    }

    /// Whether as many read as can at once, or the system gives no thread: later it can be done.
    package var isBusy: Bool {
        switch self {
        case .store(.environment(.readersFull)), .store(.environment(.noThread)): true
        default: false
        }
    }

    /// Whether a commit failed, so that the partition takes no writes until it is closed and opened again.
    package var requiresReopen: Bool {
        switch self {
        case .store(.environment(let error)):
            switch error {
            case .fenced, .io, .noSpace, .corrupted, .closed, .other: true
            default: false
            }
        default: false
        }
    }
}
