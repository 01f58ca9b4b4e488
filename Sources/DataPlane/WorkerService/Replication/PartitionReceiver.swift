import ClusterModel
import Glibc
import PartitionEngine
import PartitionStore
import Synchronization
import Threads
import WireProtocol

/// Puts slices of partitions together on disk, and hands each whole copy to its replica.
final class PartitionReceiver: Sendable {
    private struct Incoming {
        var copy: UInt64
        var received: UInt64
    }

    private let executor: BoundedExecutor
    private let options: PartitionOptions
    private let freeByteCount: @Sendable () -> UInt64
    private let incoming = Mutex<[ShardID: Incoming]>([:])

    /// - Parameters:
    ///   - options: of the partitions that copies are opened as.
    ///   - freeByteCount: bytes that are free on the disk they come to.
    init(options: PartitionOptions, freeByteCount: @escaping @Sendable () -> UInt64) {
        self.options = options
        self.freeByteCount = freeByteCount
        executor = BoundedExecutor(
            name: "copies",
            threadCount: 1,
            queueLimit: 64,
            queueByteLimit: 16 * PartitionSlice.byteLimit
        )
    }

    func stop() { executor.stop() }

    /// Bytes of slices that wait to be written.
    var waitingByteCount: Int { executor.load.waitingByteCount }

    /// Takes a slice; `finish` is called once it is on its way to the disk, for the last one once the copy has taken
    /// the place of what was there.
    func add(
        _ slice: PartitionSlice,
        for replica: Replica,
        finish: @escaping @Sendable (Result<Void, WireStatus>) -> Void
    ) {
        let isQueued = executor.submit(
            BoundedExecutor.Job(
                byteCount: slice.bytes.count,
                run: { [self] in
                    do throws(WireStatus) {
                        guard try write(slice, for: replica) else { return finish(.success(())) }
                        try complete(slice, for: replica, finish)
                    } catch {
                        incoming.withLock { $0[slice.shard] = nil }
                        finish(.failure(error))
                    }
                },
                abandon: { finish(.failure(Refusal.stopping)) }
            )
        )
        if !isQueued { finish(.failure(Refusal.controlQueueFull(limit: executor.queueLimit))) }
    }

    /// - Returns: whether it was the last one.
    private func write(_ slice: PartitionSlice, for replica: Replica) throws(WireStatus) -> Bool {
        guard replica.mayTake(copyAt: slice.sequence, from: slice.epoch) else {
            throw Refusal.copyRefused(slice.shard)
        }
        let folder = replica.incomingCopyPath
        if slice.offset == 0 {
            do throws(PartitionError) {
                try Partition.remove(at: folder)
            } catch {
                throw Refusal.failed(slice.shard, error)
            }
            // All of it comes, or none: what is cut short for want of room would only take some from others.
            let (needed, isTooMuch) = slice.totalByteCount.addingReportingOverflow(options.minimumFreeByteCount)
            let free = freeByteCount()
            guard !isTooMuch, free >= needed else {
                throw Refusal.noRoomForCopy(slice.shard, byteCount: slice.totalByteCount, freeByteCount: free)
            }
            incoming.withLock { $0[slice.shard] = Incoming(copy: slice.copy, received: 0) }
        }
        let received = incoming.withLock { $0[slice.shard] }
        let end = slice.offset + UInt64(slice.bytes.count)
        // It was taken, and the answer lost: the last one too, for as long as the copy is not complete.
        if let received, received.copy == slice.copy, received.received == end { return end == slice.totalByteCount }
        guard let received, received.copy == slice.copy, received.received == slice.offset else {
            throw Refusal.invalid("a slice of a copy of shard \(slice.shard) came out of order; send it from the first")
        }
        do throws(WorkerError) {
            try DurableFile.makeDirectory(folder)
            try DurableFile.extend("\(folder)/data.mdb", by: slice.bytes, isLast: end == slice.totalByteCount)
        } catch {
            // Others need the room sooner than the next attempt would give it back.
            if error.isStorageFull { try? Partition.remove(at: folder) }
            throw Refusal.folder(error)
        }
        incoming.withLock { $0[slice.shard]?.received = end }
        return end == slice.totalByteCount
    }

    /// Opens the copy to see that it is one, then hands it to the lane.
    private func complete(
        _ slice: PartitionSlice,
        for replica: Replica,
        _ finish: @escaping @Sendable (Result<Void, WireStatus>) -> Void
    ) throws(WireStatus) {
        incoming.withLock { $0[slice.shard] = nil }
        let folder = replica.incomingCopyPath
        do throws(PartitionError) {
            let partition = try Partition.open(at: folder, options: options)
            defer { partition.close() }
            guard replica.isOurs(partition.identity, range: replica.record.range),
                try partition.logExtent().appliedSequence == slice.sequence
            else { throw .store(.notAPartition(path: folder)) }
        } catch {
            throw Refusal.failed(slice.shard, error)
        }
        replica.enqueue(
            PendingCopy(path: folder, sequence: slice.sequence, epoch: slice.epoch, finish: finish)
        )
    }
}
