internal import Synchronization

/// Where chunks of stored or of rounded rows lie in the map, found once for all searches.
///
/// A chunk's value is written once and stays where it is until it is scrubbed or removed; then a new table begins,
/// valid from that commit on. LMDB leaves pages that a reader's commit uses alone, so an address holds in every
/// transaction the table is valid for.
final class RowAddresses: Sendable {
    /// Addresses as of one commit and all later ones until the next table.
    @safe
    final class Table: @unchecked Sendable {
        // Sendable: the buffer is never replaced and its elements are atomic.
        let firstTransaction: UInt64
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

    /// A table for `chunkCount` chunks that is valid in a transaction.
    func table(forTransaction number: UInt64, chunkCount: Int) -> Table {
        state.withLock { state in
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

    /// Begins a table, before the commit `number` changes or removes chunks.
    func begin(withTransaction number: UInt64) {
        state.withLock { state in
            state.previous = state.current
            state.current = Table(firstTransaction: number, count: state.current.count, copying: nil)
        }
    }

    /// Forgets all addresses: the file was mapped elsewhere. Nobody reads meanwhile.
    func forget() {
        state.withLock { state in
            state.previous = nil
            state.current = Table(
                firstTransaction: state.current.firstTransaction,
                count: state.current.count,
                copying: nil
            )
        }
    }
}
