internal import Synchronization

/// Where chunks of stored or of rounded rows lie in the map, found once for all searches.
///
/// A chunk's value is written once and stays where it is until it is scrubbed or removed; then a new table begins,
/// valid from that commit on. LMDB leaves pages that a reader's commit uses alone, so an address holds in every
/// transaction the table is valid for. That takes values on pages of their own: a smaller one moves with its leaf, and
/// its address holds in transactions of one commit only.
package final class RowAddresses: Sendable {
    /// Addresses as of one commit and all later ones until the next table.
    @safe
    package final class Table: @unchecked Sendable {
        // Sendable: the buffer is never replaced and its elements are atomic.
        package let firstTransaction: UInt64
        let count: Int
        private let addresses: UnsafeMutablePointer<Atomic<UInt>>

        fileprivate init(firstTransaction: UInt64, count: Int, copying other: Table?) {
            self.firstTransaction = firstTransaction
            self.count = count
            unsafe addresses = .allocate(capacity: max(1, count))
            for chunk in 0..<count {
                let known = other.map { chunk < $0.count ? $0.word(chunk) : 0 } ?? 0
                unsafe (addresses + chunk).initialize(to: Atomic(known))
            }
        }

        deinit {
            unsafe addresses.deinitialize(count: count)
            unsafe addresses.deallocate()
        }

        private func word(_ chunk: Int) -> UInt { unsafe addresses[chunk].load(ordering: .relaxed) }

        /// The chunk's rows, or the chunk of rounded ones; nil when nobody has looked it up yet.
        subscript(chunk: Int) -> UnsafeRawPointer? {
            get { unsafe UnsafeRawPointer(bitPattern: word(chunk)) }
            set { unsafe addresses[chunk].store(UInt(bitPattern: newValue), ordering: .relaxed) }
        }
    }

    private struct State {
        var current = Table(firstTransaction: 0, count: 0, copying: nil)
        var previous: Table?
    }

    private let state = Mutex(State())
    /// Whether chunks have pages of their own.
    private let areLasting: Bool

    /// - Parameter areLasting: whether chunks have pages of their own.
    package init(areLasting: Bool) {
        self.areLasting = areLasting
    }

    /// A table for `chunkCount` chunks that is valid in a transaction.
    package func table(forTransaction number: UInt64, chunkCount: Int) -> Table {
        state.withLock { state in
            if !areLasting { return Self.passingTable(&state, number, chunkCount: chunkCount) }
            if number >= state.current.firstTransaction {
                if state.current.count < chunkCount {
                    state.current = Table(
                        firstTransaction: state.current.firstTransaction,
                        count: max(chunkCount, 2 * state.current.count),
                        copying: state.current
                    )
                }
                return state.current
            }
            if let previous = state.previous, number >= previous.firstTransaction, previous.count >= chunkCount {
                return previous
            }
            // A reader older than two scrubs: it finds its addresses itself.
            return Table(firstTransaction: number, count: chunkCount, copying: nil)
        }
    }

    /// The table of one commit alone: the newest that was asked for is kept.
    private static func passingTable(_ state: inout State, _ number: UInt64, chunkCount: Int) -> Table {
        if state.current.firstTransaction == number, state.current.count >= chunkCount { return state.current }
        let table = Table(firstTransaction: number, count: chunkCount, copying: nil)
        if number >= state.current.firstTransaction { state.current = table }
        return table
    }

    /// Begins a table, before the commit `number` changes or removes chunks.
    package func begin(withTransaction number: UInt64) {
        guard areLasting else { return }
        state.withLock { state in
            // Again for a commit that failed: what was valid before it still is.
            if state.current.firstTransaction != number { state.previous = state.current }
            state.current = Table(firstTransaction: number, count: state.current.count, copying: nil)
        }
    }

    /// Forgets all addresses: the file was mapped elsewhere. Nobody reads meanwhile.
    package func forget() {
        state.withLock { state in
            // The newest commit may be one before the current table's, which has yet to succeed.
            state.previous = state.previous.map {
                Table(firstTransaction: $0.firstTransaction, count: $0.count, copying: nil)
            }
            state.current = Table(
                firstTransaction: state.current.firstTransaction,
                count: state.current.count,
                copying: nil
            )
        }
    }
}
