import CLMDB
import Glibc
import Synchronization

extension Environment {
    /// Bytes of the file that were ever used, and bytes of address space that it has, which are its largest size.
    /// Costs no more than a read transaction.
    package func mapUse() throws(LMDBError) -> (usedByteCount: Int, mapByteCount: Int) {
        guard gate.enter() else { throw .closed(path: path) }
        defer { gate.leave() }
        var information = unsafe MDB_envinfo()
        var statistics = MDB_stat()
        _ = unsafe mdb_env_info(handle, &information)
        _ = unsafe mdb_env_stat(handle, &statistics)
        return unsafe ((information.me_last_pgno + 1) * Int(statistics.ms_psize), information.me_mapsize)
    }

    /// Gives the file more address space, in a moment without transactions: those that come meanwhile wait.
    ///
    /// The file is mapped anew, most likely elsewhere. Buffers of transactions have ended with them; whoever kept
    /// addresses of the map for later transactions forgets them in `forgetAddresses`, which is called when nobody is
    /// inside. Pages stay in the page cache. Call from one thread at a time, outside transactions.
    ///
    /// - Parameters:
    ///   - byteCount: rounded up to whole pages; nothing happens when the map has as many already.
    ///   - patience: how long to wait for transactions under way, and so how long others may have to wait.
    /// - Returns: `false` when transactions would have had to be waited for longer, and at once beside a copy or a
    ///   ``readForLong(_:)``; nothing was changed.
    /// - Throws: `mapUnavailable` when the address space has no room; nothing was changed. `closed`.
    package func growMap(
        to byteCount: Int,
        waitingAtMost patience: Duration,
        forgetAddresses: () -> Void = {}
    ) throws(LMDBError) -> Bool {
        let pageByteCount = sysconf(Int32(_SC_PAGESIZE))
        let byteCount = (byteCount + pageByteCount - 1) / pageByteCount * pageByteCount
        guard try byteCount > mapUse().mapByteCount else { return true }
        // LMDB lets go of the old map before it asks for the new one, and has none when that fails.
        guard Self.hasAddressSpace(byteCount) else { throw .mapUnavailable(path: path, mapByteCount: byteCount) }
        guard longReadCount.load(ordering: .relaxed) == 0 else { return false }
        guard gate.pause(atMost: patience) else { return false }
        defer { gate.resume() }
        forgetAddresses()
        let code = unsafe mdb_env_set_mapsize(handle, byteCount)
        // The address space was there a moment ago, and the old map's has come to it.
        precondition(code == MDB_SUCCESS, "LMDB cannot map \(path) any more (error \(code))")
        relearnMapBase()
        largePages.withLock { $0.forget() }
        return true
    }

    /// Learns where the file is mapped now; nobody is inside.
    private func relearnMapBase() {
        mapBase.store(0, ordering: .relaxed)
        var transaction: OpaquePointer?
        guard unsafe mdb_txn_begin(handle, nil, UInt32(MDB_RDONLY), &transaction) == MDB_SUCCESS,
            let transaction = unsafe transaction
        else { return }
        unsafe learnMapBase(transaction)
        unsafe mdb_txn_abort(transaction)
    }

    private static func hasAddressSpace(_ byteCount: Int) -> Bool {
        let flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE
        guard let place = unsafe mmap(nil, byteCount, PROT_NONE, flags, -1, 0), unsafe place != MAP_FAILED else {
            return false
        }
        unsafe munmap(place, byteCount)
        return true
    }
}
