import ClusterModel
import Logging
import PartitionEngine
import ShardReplication
import Threads
import WireProtocol
import WireTransport

/// A copy of the primary's partition that is complete on this disk, and waits to take the place of what is there.
struct PendingCopy: Sendable {
    /// Folder that holds it.
    let path: String
    let sequence: UInt64
    let epoch: Epoch
    let finish: @Sendable (Result<Void, WireStatus>) -> Void
}

extension Replica {
    private static let sliceTimeout = Duration.seconds(60)
    /// How long one slice is tried again over a network that fails.
    private static let slicePatience = Duration.seconds(30)
    private static let slicePause = Duration.milliseconds(500)

    /// Folder of a copy that comes, and of one that goes to a worker.
    var incomingCopyPath: String { "\(directory)/incoming" }
    private func outgoingCopyPath(to node: NodeID) -> String { "\(directory)/outgoing-\(node)" }

    /// Whether a folder of this name, in that of a replica, holds a copy.
    static func isCopy(_ name: String) -> Bool { name == "incoming" || name.hasPrefix("outgoing-") }

    /// Makes a copy of the partition, sends it slice by slice, and removes it. Ends early when a slice is not taken, or
    /// when this replica is no primary any more; the other asks again then.
    ///
    /// - Returns: how long not to begin another.
    func sendCopy(to node: NodeID) async -> Duration {
        let path = outgoingCopyPath(to: node)
        let logger = logger
        let start = ContinuousClock.now
        let metadata: Logger.Metadata = ["shard": "\(shard)", "worker": "\(node)"]
        var rest = Duration.zero
        do throws(WireStatus) {
            guard let epoch = primaryEpoch else { return rest }
            let made = await WorkerThread.run(name: "copy-\(shard.index)") {
                Result { () throws(WireStatus) in try self.makeCopy(at: path, under: epoch) }
            }
            guard let copy = try made.get() else { return rest }
            note(0, of: copy.byteCount, to: node)
            logger.info(
                "a copy of a partition is sent",
                metadata: metadata.merging(["bytes": "\(copy.byteCount)"]) { $1 }
            )
            try await send(copy, at: path, to: node, under: epoch)
            logger.info(
                "a copy of a partition was taken",
                metadata: metadata.merging(["took": "\(ContinuousClock.now - start)"]) { $1 }
            )
        } catch {
            rest = .milliseconds(Int64(error.retryAfterMilliseconds))
            logger.warning(
                "a copy of a partition was not taken",
                metadata: metadata.merging(["reason": "\(error)"]) { $1 }
            )
        }
        await WorkerThread.run(name: "copy-\(shard.index)") {
            do throws(PartitionError) {
                try Partition.remove(at: path)
            } catch {
                logger.warning("a copy of a partition was not removed", metadata: ["reason": "\(error)"])
            }
        }
        return rest
    }

    /// Makes a copy of the partition, as long as the file does not grow too far and the disk keeps its reserve.
    ///
    /// - Returns: nil when it was stopped.
    /// - Throws: `unavailable` with a time to wait when it had to be given up.
    func copyPartition(to path: String, shouldStop: () -> Bool) throws(WireStatus) -> PartitionCopy? {
        var excess: CopyBound.Excess?
        let copy = try read(.local) { (partition, isFenced) throws(PartitionError) in
            let bound = try CopyBound(of: partition)
            return try partition.copy(to: path) {
                if shouldStop() || isFenced() { return true }
                excess = bound.excess(of: partition)
                return excess != nil
            }
        }
        if let excess { throw Refusal.copyGivenUp(shard, excess) }
        return copy
    }

    /// The epoch that this replica leads in; nil while it does not.
    private var primaryEpoch: Epoch? {
        monitor.withLock { state in
            guard let machine = state.replication?.machine, machine.role == .primary else { return nil }
            return machine.group?.epoch
        }
    }

    private func makeCopy(at path: String, under epoch: Epoch) throws(WireStatus) -> PartitionCopy? {
        do throws(PartitionError) {
            // What an earlier attempt left behind.
            try Partition.remove(at: path)
        } catch {
            throw Refusal.failed(shard, error)
        }
        return try copyPartition(to: path) { self.primaryEpoch != epoch }
    }

    private func send(
        _ copy: PartitionCopy,
        at path: String,
        to node: NodeID,
        under epoch: Epoch
    ) async throws(WireStatus) {
        let began = ContinuousClock.now
        let name = UInt64.random(in: .min ... .max)
        var offset: UInt64 = 0
        while offset < copy.byteCount {
            guard primaryEpoch == epoch else { throw Refusal.notPrimary(shard) }
            let start = offset
            let read = await WorkerThread.run(name: "copy-\(shard.index)") {
                Result { () throws(WorkerError) in
                    try DurableFile.slice(of: "\(path)/data.mdb", at: start, limit: PartitionSlice.byteLimit)
                }
            }
            let bytes: [UInt8]
            do throws(WorkerError) {
                bytes = try read.get().0
            } catch {
                throw Refusal.folder(error)
            }
            let slice = PartitionSlice(
                shard: shard,
                sender: links.node,
                epoch: epoch,
                copy: name,
                sequence: copy.sequence,
                totalByteCount: copy.byteCount,
                offset: offset,
                bytes: bytes
            )
            try await send(slice, to: node, under: epoch)
            offset += UInt64(bytes.count)
            note(offset, of: copy.byteCount, to: node)
            // No faster than it may be: what is behind schedule is not made up for.
            let due = began + .seconds(Double(offset) / Double(options.copyBytesPerSecond))
            if due > .now { try? await Task.sleep(until: due) }
        }
    }

    /// Sends one slice until it is taken, or refused for good.
    private func send(_ slice: PartitionSlice, to node: NodeID, under epoch: Epoch) async throws(WireStatus) {
        let end = ContinuousClock.now + Self.slicePatience
        while true {
            do throws(WireStatus) {
                _ = try await links.call(slice, on: node, deadline: .after(Self.sliceTimeout))
                return
            } catch {
                guard error.code.retry == .retryThisCall, ContinuousClock.now < end, primaryEpoch == epoch else {
                    throw error
                }
            }
            try? await Task.sleep(for: Self.slicePause)
        }
    }

    private func note(_ sentByteCount: UInt64, of totalByteCount: UInt64, to node: NodeID) {
        monitor.withLock { state in
            state.replication?.copies[node]?.sentByteCount = sentByteCount
            state.replication?.copies[node]?.totalByteCount = totalByteCount
        }
    }
}
