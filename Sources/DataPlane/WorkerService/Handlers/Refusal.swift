import ClusterModel
import FaceModel
import PartitionEngine
import WireProtocol

/// Every refusal of a worker as a wire status: the one place where its errors get a code and a sentence.
enum Refusal {
    static func unknownReplica(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unknownReplica,
            message: "this worker does not hold \(name(shard)); ask the coordinator where it is"
        )
    }

    static func succeeded(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unknownReplica,
            message: "other shards have taken the place of \(name(shard)); nothing of the request was done"
        )
    }

    static func frozen(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: "other shards are about to take the place of \(name(shard))",
            retryAfterMilliseconds: 500
        )
    }

    static func successorNotReady(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: "what was made of \(name(shard)) on this worker is not whole",
            retryAfterMilliseconds: 100
        )
    }

    static func staleEpoch(_ shard: ShardID, sent: Epoch, held: Epoch) -> WireStatus {
        WireStatus(
            code: .staleEpoch,
            message: "\(name(shard)) was asked for under epoch \(sent.number), and this worker is at \(held.number)"
        )
    }

    /// An order to remove what has become something else since it was given.
    static func laterGroup(_ shard: ShardID, sent: UInt64, held: UInt64) -> WireStatus {
        WireStatus(
            code: .staleEpoch,
            message: """
                \(name(shard)) was to be removed by version \(sent) of its group, and this worker is a member by \
                version \(held); nothing of it was done
                """
        )
    }

    /// An order to remove what the records that it comes of do not know enough about.
    static func earlierRecords(_ shard: ShardID, sent: UInt64, held: UInt64) -> WireStatus {
        earlierRecords(shard, "by version \(sent) of its group, and this worker knows of version \(held)")
    }

    static func earlierRecords(_ shard: ShardID, sent: Epoch, promised: Epoch) -> WireStatus {
        earlierRecords(
            shard,
            "under epoch \(sent.number), and its replica here has obeyed epoch \(promised.number)"
        )
    }

    private static func earlierRecords(_ shard: ShardID, _ difference: String) -> WireStatus {
        WireStatus(
            code: .staleEpoch,
            message: """
                \(name(shard)) was to be removed \(difference); nothing of it was done: the order came late, or the \
                metadata store was put back to an earlier state; then put back newer records, or accept these with \
                'mien metadata accept COLLECTION'
                """
        )
    }

    static func groupsNotHeard(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: """
                this worker was started anew, and has not heard yet whether it is a member of the group of \
                \(name(shard)); nothing of it is removed before
                """,
            retryAfterMilliseconds: 500
        )
    }

    /// An order to remove a replica that does not tell by which version of its group.
    static func isMember(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .staleEpoch,
            message: """
                \(name(shard)) was to be removed by an order that tells no version of its group, and this worker is a \
                member; nothing of it was done
                """
        )
    }

    static func membershipNotHeard(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: """
                this worker has yet to hear whether it is still a member of the group of \(name(shard)), which the \
                order to remove that does not tell; nothing of it is removed before
                """,
            retryAfterMilliseconds: 500
        )
    }

    static func successorIsWhole(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .staleEpoch,
            message: "what was made of \(name(shard)) on this worker is whole, and may have taken its place; it stays"
        )
    }

    static func epochNotHeard(_ shard: ShardID, sent: Epoch, held: Epoch) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message:
                "\(name(shard)) was asked for under epoch \(sent.number), and this worker has heard of \(held.number)",
            retryAfterMilliseconds: 50
        )
    }

    /// A replica that cannot know whether it has every acknowledged write. Nothing was done.
    static func notConfirmed(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message:
                "this worker's replica of \(name(shard)) is not confirmed as one that has every write; ask another",
            retryAfterMilliseconds: 50
        )
    }

    static func notPrimary(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .staleEpoch,
            message: "this worker does not order the writes of \(name(shard)); nothing of the write was done"
        )
    }

    static func tooFewInSync(_ shard: ShardID, inSync: Int, minimum: Int) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: """
                \(name(shard)) has \(inSync) of the \(minimum) replicas that have to have a write; nothing of this one \
                was done, and searches go on
                """,
            retryAfterMilliseconds: 500
        )
    }

    static func noRoom(_ shard: ShardID, on worker: NodeID) -> WireStatus {
        WireStatus(
            code: .storageFull,
            message: """
                \(name(shard)) takes no faces, searches and deletions go on: worker \(worker), which has to have every \
                write, has no room for them; free some space on its disk, have fewer copies in sync, or split the \
                shard if it has no row ids left
                """
        )
    }

    /// A write that is in a log, whose fate the next primary decides.
    static func leftBehind(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: """
                \(name(shard)) changed hands during the write, and whether it took effect is unknown; send the same \
                write again under the same idempotency key
                """,
            retryAfterMilliseconds: 100
        )
    }

    /// A write that was done, of which a primary that is new does not know yet whether all others have applied it.
    static func unsettled(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: """
                the write was done, and \(name(shard)) does not know yet that every copy shows it; send the same write \
                again under the same idempotency key
                """,
            retryAfterMilliseconds: 50
        )
    }

    /// Nothing was done.
    static func recordNotWritten(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: """
                \(name(shard)) orders no writes: its worker cannot write down that they go through a log now, and \
                tries on; its log says why
                """,
            retryAfterMilliseconds: 1000
        )
    }

    static func logBegins(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: "\(name(shard)) begins to keep a log for its archive; ask again",
            retryAfterMilliseconds: 200
        )
    }

    static func holdEnded(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .deadlineExceeded,
            message: "writes of \(name(shard)) were not held any more when it was to be cut; begin the backup again"
        )
    }

    static func cutTooLate(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .deadlineExceeded,
            message: "writes of \(name(shard)) went on before its snapshot had begun; begin the backup again"
        )
    }

    /// Time after which another copy is worth the attempt: writes have other pages to use by then.
    static let copyRestMilliseconds: UInt32 = 60_000

    static func copyGivenUp(_ shard: ShardID, _ excess: CopyBound.Excess) -> WireStatus {
        let reason =
            switch excess {
            case .growth(let limit):
                "beside so many writes its file would grow beyond \(limit >> 20) MiB while it is copied; it is tried "
                    + "again in a minute, and comes through when fewer faces are written"
            case .disk(let free, let minimum):
                "the worker's disk has \(free >> 20) MiB free, and \(minimum >> 20) MiB are kept for writes; make room "
                    + "on it"
            }
        return WireStatus(
            code: .unavailable,
            message: "a copy of \(name(shard)) was given up: \(reason)",
            retryAfterMilliseconds: copyRestMilliseconds
        )
    }

    static func noRoomForCopy(_ shard: ShardID, byteCount: UInt64, freeByteCount: UInt64) -> WireStatus {
        WireStatus(
            code: .storageFull,
            message: """
                a copy of \(name(shard)) takes \(byteCount >> 20) MiB beside the reserve, and the worker's disk has \
                \(freeByteCount >> 20) MiB free; free some space there, or move the replica elsewhere
                """,
            retryAfterMilliseconds: 5000
        )
    }

    static func memoryFull(_ ledger: MemoryLedger) -> WireStatus {
        WireStatus(
            code: .memoryFull,
            message: """
                this worker takes no faces or copies now, and begins no trainings, splits or merges, for want of \
                memory; searches and deletions go on: \(MemoryText.text(ledger)); give it more memory, or move \
                replicas to other workers
                """,
            retryAfterMilliseconds: 1000
        )
    }

    static func memoryFull(_ ledger: MemoryLedger, forTraining byteCount: UInt64) -> WireStatus {
        WireStatus(
            code: .memoryFull,
            message: """
                this worker does not begin to train, for want of memory: that takes \(byteCount >> 20) MiB, and \
                \(MemoryText.text(ledger)); give it more memory, move replicas to other workers, or have fewer rows in \
                a sample (coordinator.training.sample)
                """,
            retryAfterMilliseconds: 5000
        )
    }

    static func copyDamaged(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .corruptPartition,
            message: """
                a copy of \(name(shard)) is not what its sender read, byte for byte: it was damaged on its way or on a \
                disk; it is removed, and made and sent anew
                """
        )
    }

    /// Said by the sender.
    static func copyNotKept(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .internalError,
            message: """
                the other worker had all of a copy of \(name(shard)), and has not any more: it could not use it, and \
                its log says why
                """
        )
    }

    /// Said by the sender.
    static func copyHeldTooLong(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: """
                its operation is paused, and what was made of a copy of \(name(shard)) is of no use any more: it is \
                made anew
                """
        )
    }

    static func copyBeingChecked(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: "another copy of \(name(shard)) has come to this worker, and is about to take its place",
            retryAfterMilliseconds: 1000
        )
    }

    static func sliceOutOfOrder(_ shard: ShardID) -> WireStatus {
        invalid(
            "a slice of a copy of shard \(shard) came out of order; offer the copy, and send it from where it stands"
        )
    }

    static func copyRefused(_ shard: ShardID) -> WireStatus {
        WireStatus(code: .invalidRequest, message: "this worker's replica of \(name(shard)) takes no such copy now")
    }

    static func opening(_ shard: ShardID) -> WireStatus {
        WireStatus(code: .unavailable, message: "\(name(shard)) is being opened", retryAfterMilliseconds: 100)
    }

    static func stopping(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: "the worker that holds \(name(shard)) is stopping; nothing of the request was done",
            retryAfterMilliseconds: 500
        )
    }

    static let stopping = WireStatus(
        code: .unavailable,
        message: "the worker is stopping; nothing of the request was done",
        retryAfterMilliseconds: 500
    )

    static func searchQueueFull(limit: Int) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: "the worker's search queue is full (\(limit) requests wait)",
            retryAfterMilliseconds: 50
        )
    }

    static func writeQueueFull(_ shard: ShardID, rowCount: Int) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: "the write queue of \(name(shard)) is full (\(rowCount) rows wait)",
            retryAfterMilliseconds: 100
        )
    }

    static func codebookWaits(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: "a codebook waits to be installed in \(name(shard))",
            retryAfterMilliseconds: 1000
        )
    }

    static func tooManyStrongReads(_ shard: ShardID, limit: Int) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: "\(limit) strong reads of \(name(shard)) wait for its replicas",
            retryAfterMilliseconds: 100
        )
    }

    static func controlQueueFull(limit: Int) -> WireStatus {
        WireStatus(
            code: .overloaded,
            message: "the worker's control queue is full (\(limit) requests wait)",
            retryAfterMilliseconds: 200
        )
    }

    static let cancelled = WireStatus(code: .cancelled, message: "the request was cancelled before it was begun")

    static let deadlineExceeded = WireStatus(
        code: .deadlineExceeded,
        message: "the deadline passed before the request was begun; nothing of it was done"
    )

    /// A read that is no answer as long as it is not whole.
    static func readEnded(_ shard: ShardID, isFenced: Bool, isCancelled: Bool) -> WireStatus {
        if isFenced { return opening(shard) }
        return isCancelled
            ? WireStatus(code: .cancelled, message: "the request was cancelled before all was read")
            : WireStatus(code: .deadlineExceeded, message: "the deadline passed before all was read; ask for less")
    }

    static func notYet(_ shard: ShardID, wanted: UInt64, committed: UInt64) -> WireStatus {
        WireStatus(
            code: .notYet,
            message: "\(name(shard)) has committed sequence \(committed), and the request needs \(wanted)",
            retryAfterMilliseconds: 10
        )
    }

    static func wrongDimension(_ shard: ShardID, sent: Int, held: Int) -> WireStatus {
        WireStatus(
            code: .dimensionMismatch,
            message: "\(name(shard)) holds embeddings of dimension \(held), and the request brought \(sent)"
        )
    }

    static func outsideRange(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .invalidRequest,
            message: "the request brought a face id that does not belong to \(name(shard))"
        )
    }

    static func foreignPartition(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .corruptPartition,
            message: "the partition in the folder of \(name(shard)) is another shard's"
        )
    }

    static func unreadableReplica(_ shard: ShardID, _ error: WorkerError) -> WireStatus {
        WireStatus(code: .corruptPartition, message: "\(name(shard)) is out of service on this worker: \(error)")
    }

    static func invalid(_ sentence: String) -> WireStatus {
        WireStatus(code: .invalidRequest, message: sentence)
    }

    static func notFinite(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .invalidRequest,
            message: "an embedding for \(name(shard)) holds NaN or infinity; nothing of the batch was stored"
        )
    }

    static func unsoundSample(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .invalidRequest,
            message: "a sample of \(name(shard)) is not what was stored: \(UnitLength.problem)"
        )
    }

    /// A key that stands for another write. Nothing was done.
    static func keyReused(_ shard: ShardID, sequence: UInt64) -> WireStatus {
        WireStatus(
            code: .keyReused,
            message: """
                the idempotency key was used before, for a write with other rows (sequence \(sequence) of \
                \(name(shard))); nothing of this one was done: give each write a key of its own, and send the key \
                again only with the same rows
                """
        )
    }

    /// A key of which it is not remembered whether it was used.
    static func keyTooOld(_ shard: ShardID) -> WireStatus {
        WireStatus(
            code: .keyTooOld,
            message: """
                nobody remembers whether this write was done at \(name(shard)): so many have come since the first \
                attempt at it, or the shard or its collection began or was restored after that; this attempt did \
                nothing: look at the faces, and write them under a new key if they are not as they should be
                """
        )
    }

    /// A commit whose outcome nobody knows yet: the same write under the same key settles it.
    static func unknownOutcome(_ shard: ShardID, _ error: PartitionError) -> WireStatus {
        WireStatus(
            code: .unavailable,
            message: """
                the commit on \(name(shard)) failed and whether it took effect is unknown (\(error)); send the same \
                write again under the same idempotency key
                """,
            retryAfterMilliseconds: 500
        )
    }

    /// What a partition's error means for a request that changed nothing.
    static func failed(_ shard: ShardID, _ error: PartitionError) -> WireStatus {
        if error.isCorruption {
            return WireStatus(
                code: .corruptPartition,
                message: "\(name(shard)) failed a check on this worker and is out of service: \(error)"
            )
        }
        if error.isStorageFull {
            return WireStatus(
                code: .storageFull,
                message: "\(name(shard)) takes no writes on this worker, searches go on: \(error)"
            )
        }
        if error.requiresReopen {
            return WireStatus(
                code: .unavailable,
                message: "\(name(shard)) met a disk error and is being opened again: \(error)",
                retryAfterMilliseconds: 500
            )
        }
        if error.isBusy {
            return WireStatus(
                code: .overloaded,
                message: "\(name(shard)) has too much to do for this: \(error)",
                retryAfterMilliseconds: 100
            )
        }
        if case .answerTooLarge(let byteCount, let byteLimit) = error {
            return answerTooLarge(byteCount: byteCount, byteLimit: byteLimit)
        }
        let code: StatusCode =
            switch error {
            case .invalidWrite, .generationConflict, .codebook: .invalidRequest
            case .rowIDsExhausted: .storageFull
            default: .internalError
            }
        return WireStatus(code: code, message: "\(name(shard)) could not do this: \(error)")
    }

    /// - Parameter byteCount: least bytes of the answer, about.
    static func answerTooLarge(byteCount: Int, byteLimit: Int) -> WireStatus {
        WireStatus(
            code: .limitExceeded,
            message: """
                the answer would have about \(byteCount) bytes or more, and a frame has room for \(byteLimit); ask \
                for fewer faces or probes at once
                """
        )
    }

    static func folder(_ error: WorkerError) -> WireStatus {
        WireStatus(
            code: error.isStorageFull ? .storageFull : .internalError,
            message: "the worker's data folder failed: \(error)"
        )
    }

    static func name(_ shard: ShardID) -> String {
        "shard \(shard.index) of collection \(shard.collection)"
    }
}
