import CLMDB
import Glibc
import Synchronization

// `read` and `write` have two forms each, for closures marked `throws(LMDBError)` or that do not throw, and for others.
// swift-format-ignore: AmbiguousTrailingClosureOverload
extension Environment {
    /// Runs `body` in a read transaction: an unchanging view of the last commit.
    ///
    /// Never waits for writers. Costs about 0.1 µs. What `body` returns must not hold buffers of the transaction.
    ///
    /// - Throws: `fenced` after a commit that failed at the page which says where all others are; `readersFull`.
    package func read<R: ~Copyable>(
        _ body: (borrowing ReadTransaction) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        let transaction = try beginReading()
        defer { endReading(transaction) }
        return try body(transaction)
    }

    /// Runs `body` in a read transaction: an unchanging view of the last commit.
    ///
    /// - Throws: `LMDBError` if the transaction cannot begin, and what `body` throws.
    package func read<R: ~Copyable>(_ body: (borrowing ReadTransaction) throws -> R) throws -> R {
        let transaction = try beginReading()
        defer { endReading(transaction) }
        return try body(transaction)
    }

    /// Runs `body` in a read transaction unless it would have to wait until the map has grown: for event loops.
    ///
    /// - Returns: nil when it would have had to, and `body` was not run.
    /// - Throws: as ``read(_:)`` does.
    package func readWithoutWaiting<R>(_ body: (borrowing ReadTransaction) throws -> R) throws -> R? {
        switch gate.tryEnter() {
        case .inside: break
        case .paused: return nil
        case .shut: throw LMDBError.closed(path: path)
        }
        let transaction = try beginInside()
        defer { endReading(transaction) }
        return try body(transaction)
    }

    /// Runs `body`, which takes long, in a read transaction: nobody is kept waiting for its end, so the map does not
    /// grow meanwhile.
    ///
    /// - Throws: as ``read(_:)`` does.
    package func readForLong<R>(_ body: (borrowing ReadTransaction) throws -> R) throws -> R {
        longReadCount.add(1, ordering: .relaxed)
        defer { longReadCount.subtract(1, ordering: .relaxed) }
        return try read(body)
    }

    /// Runs `body` in the write transaction, once others are done, and commits it durably before returning.
    ///
    /// If `body` throws, nothing is changed. If the commit throws `mapFull`, `transactionFull` or `transactionFailed`,
    /// nothing is changed either; after any other error the outcome is unknown and the environment is fenced.
    /// All of it happens on the calling thread. A write inside a write is a bug and traps.
    @discardableResult
    package func write<R: ~Copyable>(
        _ body: (borrowing WriteTransaction) throws(LMDBError) -> R
    ) throws(LMDBError) -> R {
        let transaction = try beginWriting()
        let result: R
        do throws(LMDBError) {
            result = try body(transaction)
        } catch {
            abort(transaction)
            throw error
        }
        try commit(transaction)
        return result
    }

    /// Runs `body` in the write transaction, once others are done, and commits it durably before returning.
    ///
    /// As the other form; `body` may throw any error, which aborts the transaction.
    @discardableResult
    package func write<R: ~Copyable>(_ body: (borrowing WriteTransaction) throws -> R) throws -> R {
        let transaction = try beginWriting()
        let result: R
        do {
            result = try body(transaction)
        } catch {
            abort(transaction)
            throw error
        }
        try commit(transaction)
        return result
    }

    /// The error that fenced the environment, if one did. May wait for a commit in progress.
    package var fenceCause: LMDBError? {
        fence.withLock { $0 }
    }

    private func beginReading() throws(LMDBError) -> ReadTransaction {
        guard gate.enter() else { throw .closed(path: path) }
        return try beginInside()
    }

    /// Begins a read that the gate has let in; where it cannot begin it is out again.
    private func beginInside() throws(LMDBError) -> ReadTransaction {
        do throws(LMDBError) {
            return try begin(flags: UInt32(MDB_RDONLY))
        } catch {
            gate.leave()
            throw error
        }
    }

    private func endReading(_ transaction: borrowing ReadTransaction) {
        unsafe mdb_txn_abort(transaction.handle)
        gate.leave()
    }

    private func beginWriting() throws(LMDBError) -> WriteTransaction {
        let thread = pthread_self()
        precondition(
            writingThread.load(ordering: .relaxed) != thread,
            "a write transaction was begun inside another one"
        )
        guard !options.readOnly else { throw .permissionDenied(path: path, errno: EROFS) }
        guard gate.enter() else { throw .closed(path: path) }
        do throws(LMDBError) {
            let transaction = try begin(flags: 0)
            // LMDB's writer lock is held here, so no write follows the one that failed.
            if let cause = fenceCause {
                unsafe mdb_txn_abort(transaction.handle)
                throw .fenced(path: path, cause: cause)
            }
            writingThread.store(thread, ordering: .relaxed)
            return WriteTransaction(transaction)
        } catch {
            gate.leave()
            throw error
        }
    }

    private func abort(_ transaction: borrowing WriteTransaction) {
        writingThread.store(0, ordering: .relaxed)
        unsafe mdb_txn_abort(transaction.reading.handle)
        gate.leave()
    }

    private func commit(_ transaction: borrowing WriteTransaction) throws(LMDBError) {
        defer { gate.leave() }
        writingThread.store(0, ordering: .relaxed)
        // The fence is locked over the commit, which lets the next writer in: that one then sees how this one ended.
        try fence.withLock { fence throws(LMDBError) in
            let code = unsafe mdb_txn_commit(transaction.reading.handle)
            guard code != MDB_SUCCESS else { return }
            let error = diskError(code)
            switch code {
            case MDB_MAP_FULL, MDB_TXN_FULL, MDB_BAD_TXN: break  // found before anything was written
            default: fence = error
            }
            throw error
        }
    }

    /// Runs `body` in a read transaction that leaves the tables opened in it open.
    func readAndKeepTables<R>(_ body: (OpaquePointer) throws(LMDBError) -> R) throws(LMDBError) -> R {
        let transaction = try beginReading()
        defer { gate.leave() }
        let result: R
        do throws(LMDBError) {
            result = try unsafe body(transaction.handle)
        } catch {
            unsafe mdb_txn_abort(transaction.handle)
            throw error
        }
        let code = unsafe mdb_txn_commit(transaction.handle)
        guard code == MDB_SUCCESS else { throw unsafe LMDBError(code: code, environment: handle) }
        return result
    }

    /// The error of a failed commit or sync.
    func diskError(_ code: Int32) -> LMDBError {
        // LMDB reports a write that a full disk cut short as EIO.
        var space = statvfs()
        if code == EIO, unsafe statvfs(path, &space) == 0, space.f_bavail * space.f_frsize < 1 << 20 {
            return .noSpace(path: path)
        }
        return unsafe LMDBError(code: code, environment: handle)
    }

    /// The fence, where a transaction could not begin because of it: once a meta page could not be written LMDB lets
    /// nobody in any more, readers neither. The file is not damaged by that.
    func refusal(of code: Int32) -> LMDBError? {
        guard code == MDB_PANIC, let cause = fenceCause else { return nil }
        return .fenced(path: path, cause: cause)
    }

    private func begin(flags: UInt32) throws(LMDBError) -> ReadTransaction {
        var transaction: OpaquePointer?
        let code = unsafe mdb_txn_begin(handle, nil, flags, &transaction)
        if let refusal = refusal(of: code) { throw refusal }
        guard code == MDB_SUCCESS, let transaction = unsafe transaction else {
            throw unsafe LMDBError(code: code, environment: handle)
        }
        return unsafe ReadTransaction(
            handle: transaction,
            environmentNumber: number,
            // What a write transaction has changed lies elsewhere.
            bounds: flags & UInt32(MDB_RDONLY) != 0 ? mapBounds : nil
        )
    }
}
