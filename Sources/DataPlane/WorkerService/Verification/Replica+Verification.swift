import FaceModel
import Logging
import PartitionEngine
import ShardReplication
import Synchronization
import Threads
import WireProtocol

/// Reading all of a replica's partition, and remembering when it was last found sound.
extension Replica {
    /// When all of the partition was last read and found sound; nil for never.
    var lastVerified: Timestamp? { monitor.withLock(\.verified) }

    /// Time since all of the partition was last read and found sound; as long as it never was, since it is here.
    func timeSinceVerified(now: Timestamp) -> Duration {
        let (verified, partitionSince) = monitor.withLock { ($0.verified, $0.partitionSince) }
        return VerificationSchedule.age(of: verified, heldFor: ContinuousClock.now - partitionSince, now: now)
    }

    /// Remembers it, while the partition is read: so nothing takes its place meanwhile.
    private func noteVerified() {
        let now = Timestamp.wallClock
        monitor.withLock { $0.verified = now }
        do throws(WorkerError) {
            try VerificationRecord.write(now, to: verificationPath)
        } catch {
            logger.warning("that a partition was found sound cannot be remembered", metadata: logMetadata(error))
        }
    }

    /// Another partition comes into the place of the one that was verified.
    func forgetVerification() {
        monitor.withLock { state in
            state.verified = nil
            state.partitionSince = .now
        }
        do throws(WorkerError) {
            try DurableFile.remove(verificationPath)
        } catch {
            logger.warning("a replica's file cannot be removed", metadata: logMetadata(error))
        }
    }

    /// Of the newest write that is in the partition.
    func committedSequence() throws(WireStatus) -> UInt64 {
        try read(.local) { (partition, _) throws(PartitionError) in partition.committedSequence }
    }

    /// What a reading would find, where the replica is out of service for that; nil where it has to be read, or cannot
    /// be for another reason: no disk, another shard's partition, one of a later format.
    var knownDamage: ReplicaVerified? { monitor.withLock(\.damage).map(Self.finding) }

    private static func finding(_ damage: PartitionError) -> ReplicaVerified {
        ReplicaVerified(sequence: 0, faceCount: 0, slices: [], damage: String("\(damage)".prefix(1000)))
    }

    /// Reads and verifies all of the partition; damage takes the replica out of service.
    ///
    /// - Throws: `overloaded` when it was in the way of address space that the partition needs soon.
    func verify(unless isCancelled: () -> Bool) throws(WireStatus) -> ReplicaVerified {
        var found: PartitionError?
        let shortages = mapShortages.load(ordering: .relaxed)
        var isInTheWay = false
        do throws(WireStatus) {
            let digest = try read(.local) { (partition, isFenced) throws(PartitionError) in
                do throws(PartitionError) {
                    let digest = try partition.verifyAll {
                        isInTheWay = isInTheWay || self.mapShortages.load(ordering: .relaxed) != shortages
                        return isInTheWay || isFenced() || isCancelled()
                    }
                    if digest != nil { self.noteVerified() }
                    return digest
                } catch {
                    found = error
                    throw error
                }
            }
            guard let digest else { throw isInTheWay ? Refusal.mapIsShort(shard) : Refusal.opening(shard) }
            // Where this one and others that are written to meanwhile can be compared.
            monitor.withLock(waking: .all) { state in
                state.replication?.lastCheckpoint = ReplicationClock.now - self.options.checkpointInterval
            }
            return ReplicaVerified(
                sequence: digest.sequence,
                faceCount: digest.faceCount,
                slices: digest.slices,
                damage: nil
            )
        } catch {
            guard let found, found.isCorruption else { throw error }
            return Self.finding(found)
        }
    }
}
