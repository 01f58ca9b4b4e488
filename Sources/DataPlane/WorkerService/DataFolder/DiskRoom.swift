import Synchronization

/// The room on a worker's disk for what comes whole and takes it bit by bit: copies of partitions that other workers
/// send, and snapshots for backups.
///
/// What has begun counts with all that it will take, so that no byte is promised to two. Any thread may call it.
package final class DiskRoom: Sendable {
    private let reserveByteCount: UInt64
    private let freeOnDisk: @Sendable () -> UInt64
    private let incomingFolders: @Sendable () -> [String]
    /// What each snapshot that is being made will take, by its folder.
    private let snapshots = Mutex<[String: UInt64]>([:])
    /// Whoever looks whether there is room takes it before the next one looks.
    private let admission = Mutex(())

    /// - Parameters:
    ///   - reserveByteCount: that stay free, whatever comes.
    ///   - freeOnDisk: as the system says.
    ///   - incomingFolders: of copies that may be coming: what is to come of each its record says, as long as there is
    ///     one.
    package init(
        reserveByteCount: UInt64,
        freeOnDisk: @escaping @Sendable () -> UInt64,
        incomingFolders: @escaping @Sendable () -> [String]
    ) {
        self.reserveByteCount = reserveByteCount
        self.freeOnDisk = freeOnDisk
        self.incomingFolders = incomingFolders
    }

    /// What is free beside that which snapshots have yet to take. Coordinators are told this: they reserve themselves
    /// what copies take, of which snapshots are none.
    package var freeByteCountBesideSnapshots: UInt64 {
        let free = freeOnDisk()
        return free - min(free, awaitedByteCount(ofSnapshotsBeside: nil))
    }

    /// Looks for room, and where there is enough begins what needs it.
    ///
    /// - Parameters:
    ///   - folder: what is or was to come there does not count.
    ///   - begin: after it the record of a copy is there, or a snapshot noted.
    /// - Returns: nil when it has begun, else the bytes that are free for it, which are too few.
    package func admit<E: Error>(
        _ byteCount: UInt64,
        to folder: String,
        begin: () throws(E) -> Void
    ) throws(E) -> UInt64? {
        try admission.withLock { (_) throws(E) -> UInt64? in
            if let free = shortage(of: byteCount, in: folder) { return free }
            try begin()
            return nil
        }
    }

    /// - Parameter present: bytes in the folder that go when it comes.
    /// - Returns: nil where there is room, else the bytes that are free for it.
    package func shortage(of byteCount: UInt64, in folder: String, besides present: UInt64 = 0) -> UInt64? {
        let onDisk = freeOnDisk()
        let incoming = incomingFolders().filter { $0 != folder }
            .reduce(UInt64(0)) { Self.sum($0, IncomingCopyRecord.awaitedByteCount(in: $1)) }
        let awaited = Self.sum(incoming, awaitedByteCount(ofSnapshotsBeside: folder))
        let free = Self.sum(onDisk - min(onDisk, awaited), present)
        return free < Self.sum(byteCount, reserveByteCount) ? free : nil
    }

    /// A snapshot is about to be made.
    package func noteSnapshot(in folder: String, byteCount: UInt64) {
        snapshots.withLock { $0[folder] = byteCount }
    }

    /// It is made, or will not be.
    package func forgetSnapshot(in folder: String) {
        snapshots.withLock { $0[folder] = nil }
    }

    private func awaitedByteCount(ofSnapshotsBeside folder: String?) -> UInt64 {
        let snapshots = snapshots.withLock(\.self)
        return snapshots.filter { $0.key != folder }.reduce(UInt64(0)) { sum, snapshot in
            let present = DurableFile.partitionByteCount(at: snapshot.key)
            return Self.sum(sum, snapshot.value - min(snapshot.value, present))
        }
    }

    /// Numbers may be what somebody said, and as large as there are any.
    private static func sum(_ left: UInt64, _ right: UInt64) -> UInt64 {
        let (sum, isTooMuch) = left.addingReportingOverflow(right)
        return isTooMuch ? .max : sum
    }
}
