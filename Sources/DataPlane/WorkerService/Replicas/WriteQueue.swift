import ClusterModel
import PartitionEngine
import Threads
package import WireProtocol

/// One write that waits for its commit.
package struct PendingWrite: Sendable {
    let batch: WriteBatch
    /// When it was first tried under its key; nil when this is the first attempt.
    var firstAttempt: ContinuousClock.Instant?
    /// Epoch it was routed by; checked again when its turn comes.
    let epoch: Epoch
    let rowCount: Int
    let byteCount: Int
    /// True when nobody waits for the outcome any more; then the write is not begun.
    let isAbandoned: @Sendable () -> Bool
    /// Called once, from the lane's thread or from the one that stops it.
    let finish: @Sendable (Result<WriteReceipt, WireStatus>) -> Void

    /// Answers that nothing of it was done: it is in no log and no commit.
    func refuse(_ status: WireStatus) { finish(.failure(status.withoutEffect)) }

    /// What is left to do of it where a part is known; it answers for all of it.
    func rest(_ undone: Partition.UndoneRows, of known: Partition.KnownReceipt) -> PendingWrite {
        PendingWrite(
            batch: batch.rest(undone),
            firstAttempt: firstAttempt,
            epoch: epoch,
            rowCount: undone.rows.count,
            byteCount: byteCount,
            isAbandoned: isAbandoned,
            finish: { [finish] result in finish(result.map { known.completed(by: $0) }) }
        )
    }
}

/// One codebook that waits for its installation.
package struct PendingInstallation: Sendable {
    package let bytes: [UInt8]
    package let finish: @Sendable (Result<Void, WireStatus>) -> Void

    package init(bytes: [UInt8], finish: @escaping @Sendable (Result<Void, WireStatus>) -> Void) {
        self.bytes = bytes
        self.finish = finish
    }
}

/// What waits on a write lane, in order of arrival: writes within bounds on rows and bytes, and one codebook at most.
package struct WriteQueue {
    enum Job {
        case write(PendingWrite)
        case install(PendingInstallation)
    }

    /// What the lane takes in one turn.
    package enum Turn {
        /// Writes for one commit, in order.
        case writes([PendingWrite])
        case install(PendingInstallation)
    }

    let rowLimit: Int
    let byteLimit: Int
    private var jobs = JobQueue<Job>()
    private(set) var rowCount = 0
    private var writeByteCount = 0
    private var installationByteCount = 0
    /// Whether a codebook waits for its installation.
    package private(set) var hasInstallation = false

    package init(rowLimit: Int, byteLimit: Int) {
        self.rowLimit = rowLimit
        self.byteLimit = byteLimit
    }

    package var isEmpty: Bool { jobs.isEmpty }
    /// Of all that waits.
    package var byteCount: Int { writeByteCount + installationByteCount }

    /// Queues a write; false when that would pass a bound. A write that alone passes one waits in an empty queue only.
    mutating func append(_ write: PendingWrite) -> Bool {
        guard isEmpty || (rowCount + write.rowCount <= rowLimit && writeByteCount + write.byteCount <= byteLimit) else {
            return false
        }
        rowCount += write.rowCount
        writeByteCount += write.byteCount
        jobs.append(.write(write))
        return true
    }

    /// Queues an installation; false while another waits, which may be of the same codebook.
    package mutating func append(_ installation: PendingInstallation) -> Bool {
        guard !hasInstallation else { return false }
        hasInstallation = true
        installationByteCount = installation.bytes.count
        jobs.append(.install(installation))
        return true
    }

    /// Takes the writes at the front that one commit may hold (at least one), or the installation at the front.
    package mutating func popTurn(commitRowLimit: Int, commitByteLimit: Int) -> Turn? {
        var group: [PendingWrite] = []
        var rows = 0
        var bytes = 0
        while let job = jobs.first {
            guard case .write(let write) = job else { break }
            rows += write.rowCount
            bytes += write.byteCount
            guard group.isEmpty || (rows <= commitRowLimit && bytes <= commitByteLimit) else { break }
            _ = jobs.popFirst()
            rowCount -= write.rowCount
            writeByteCount -= write.byteCount
            group.append(write)
        }
        if !group.isEmpty { return .writes(group) }
        guard case .install(let installation) = jobs.popFirst() else { return nil }
        (hasInstallation, installationByteCount) = (false, 0)
        return .install(installation)
    }

    mutating func removeAll() -> [Job] {
        (rowCount, writeByteCount) = (0, 0)
        (hasInstallation, installationByteCount) = (false, 0)
        return jobs.removeAll()
    }
}

extension WriteQueue.Job {
    func fail(_ status: WireStatus) {
        switch self {
        case .write(let write): write.refuse(status)
        case .install(let installation): installation.finish(.failure(status))
        }
    }
}
