/// What a worker holds of memory that the system cannot take back, what for, and how much it may hold.
///
/// Clean pages of mapped files are not held: the system drops them when it needs the room, and searches read them
/// again.
package struct MemoryLedger: Hashable, Sendable {
    /// What sets the limit.
    package enum Bound: UInt8, CaseIterable, Sendable {
        /// Nothing that can be read.
        case unknown = 0
        /// `worker.memory.limit`, which the process alone counts against.
        case configured = 1
        /// The control group of the process, with all that is in it.
        case controlGroup = 2
        /// The machine, with all that runs on it.
        case machine = 3
    }

    /// What the process holds memory for; in the order of the wire.
    package enum Part: UInt8, CaseIterable, Sendable {
        /// Searches that wait for a thread.
        case searchQueue
        /// Tables and shortlists of the searches under way.
        case searchBuffers
        /// Writes that wait for their commit.
        case writeQueue
        /// Entries of logs that wait for other replicas.
        case log
        /// Slices of copies that wait to be written.
        case copies
        case codebooks
        /// Rows that pass filters which were searched with lately.
        case filters
        /// The sample that a codebook is trained on.
        case training
        /// Everything else that the program has.
        case program
    }

    package var bound: Bound
    /// 0 where the bound is unknown.
    package var limitByteCount: UInt64
    /// By all that count against the limit.
    package var heldByteCount: UInt64
    /// What is to stay free: with less, enrolments are turned away.
    package var reserveByteCount: UInt64
    /// Whether enrolments are turned away now.
    package var isShort: Bool
    /// In the order of ``Part``.
    package private(set) var byteCounts: [UInt64]
    /// Of mapped files, whether in memory or not, and so not held: rows that no inverted list has yet.
    package var freshByteCount: UInt64
    /// Address space of the partitions' files.
    package var mapByteCount: UInt64

    /// Whether so much more may be held without the reserve being touched; anything where the limit is not known.
    package func hasRoom(for byteCount: UInt64) -> Bool {
        let free = limitByteCount - min(heldByteCount, limitByteCount)
        return limitByteCount == 0 || byteCount <= free - min(reserveByteCount, free)
    }

    package init(
        bound: Bound = .unknown,
        limitByteCount: UInt64 = 0,
        heldByteCount: UInt64 = 0,
        reserveByteCount: UInt64 = 0,
        isShort: Bool = false,
        parts: [Part: UInt64] = [:],
        freshByteCount: UInt64 = 0,
        mapByteCount: UInt64 = 0
    ) {
        self.bound = bound
        self.limitByteCount = limitByteCount
        self.heldByteCount = heldByteCount
        self.reserveByteCount = reserveByteCount
        self.isShort = isShort
        byteCounts = Part.allCases.map { parts[$0] ?? 0 }
        self.freshByteCount = freshByteCount
        self.mapByteCount = mapByteCount
    }

    package subscript(part: Part) -> UInt64 {
        get { byteCounts[Int(part.rawValue)] }
        set { byteCounts[Int(part.rawValue)] = newValue }
    }
}
