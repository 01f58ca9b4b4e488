package import FaceModel
internal import FaceRecords
internal import LMDB
internal import PartitionStore

/// A part of a partition's ledger of erasures.
package struct ErasurePage: Hashable, Sendable {
    package var erasures: [Erasure]
    /// Behind which the next part begins, on whatever replica; nil when there are none.
    package var last: ErasurePosition?
    /// Whether the ledger ends with them.
    package var isLast: Bool
    /// Time of the newest erasure that was forgotten: the ledger is whole from there on. Nil when none was.
    package var forgotten: Timestamp?
}

extension ErasurePage {
    /// Adds the erasures of writes of one number; all of them, unless they alone are more than the limit.
    ///
    /// - Parameters:
    ///   - erasures: as the ledger has them, at least one.
    ///   - position: what is up to it has been read.
    /// - Returns: whether there may be room for more.
    fileprivate mutating func add(_ erasures: [Erasure], after position: ErasurePosition?, limit: Int) -> Bool {
        var own = erasures
        // Ledgers of before may have an erasure twice, as two replicas noted it.
        own.removeRepetitions()
        if let position { own.removeAll { $0.position <= position } }
        guard let sequence = own.first?.version.sequence else { return true }
        guard self.erasures.count + own.count > limit else {
            self.erasures += own
            last = ErasurePosition(sequence: sequence, index: .max)
            return true
        }
        isLast = false
        guard self.erasures.isEmpty, limit > 0 else { return false }
        // A position tells those apart that do not begin with the same 32 bits: the others stay together.
        var end = limit
        while end > 0, own[end - 1].position == own[end].position { end -= 1 }
        if end == 0 { end = own.firstIndex { $0.position != own[0].position } ?? own.count }
        self.erasures = Array(own[..<end])
        last = own[end - 1].position
        return false
    }
}

extension Erasure {
    /// Up to which a ledger has been read whose last erasure this is.
    fileprivate var position: ErasurePosition {
        ErasurePosition(sequence: version.sequence, index: UInt32(truncatingIfNeeded: pseudonym >> 96))
    }
}

/// The ledger of erasures: which faces were deleted, or removed since they had expired, by which write, under
/// pseudonyms. An entry is in the commit of its write, and travels with copies. A restored backup is held against it:
/// nobody comes back who was deleted, also where the deletion found nobody, since the face had been lost before.
extension Partition {
    /// Erasures that one step of maintenance forgets.
    private static let forgettingLimit = 1024

    /// Erasures behind a position: in order of the numbers of their writes, and those of one number in order of their
    /// pseudonyms, each once.
    ///
    /// Replicas of a shard that was merged have those of one number in orders of their own, and each page may come from
    /// another. So a page ends with all of a number, and one of which there are more than the limit is divided between
    /// two pseudonyms.
    ///
    /// - Parameters:
    ///   - position: the ``ErasurePage/last`` of the page before.
    ///   - limit: of erasures; more only where so many pseudonyms begin with the same 32 bits.
    package func erasures(after position: ErasurePosition?, limit: Int) throws(PartitionError) -> ErasurePage {
        do {
            return try environment.read { transaction in
                var page = ErasurePage(erasures: [], isLast: true, forgotten: try forgottenErasures(transaction))
                var hasRoom = true
                var ofOneNumber: [Erasure] = []
                let range = position.map { KeyRange.from(ErasurePosition(sequence: $0.sequence, index: 0)) } ?? .all
                try unsafe transaction.forEach(in: tables.erasures, range) { entry in
                    guard let own = unsafe ErasurePosition(keyBytes: entry.key) else {
                        throw PartitionStoreError.malformed(table: "erasures", reason: "a key of another size")
                    }
                    if let first = ofOneNumber.first, first.version.sequence != own.sequence {
                        hasRoom = page.add(ofOneNumber, after: position, limit: limit)
                        guard hasRoom else { return .stop }
                        ofOneNumber.removeAll(keepingCapacity: true)
                    }
                    ofOneNumber.append(try unsafe ErasureRecord.decode(entry.value, at: own))
                    return .next
                }
                if hasRoom, !ofOneNumber.isEmpty { _ = page.add(ofOneNumber, after: position, limit: limit) }
                return page
            }
        } catch {
            throw PartitionError(error)
        }
    }

    func forgottenErasures(_ transaction: borrowing ReadTransaction) throws -> Timestamp? {
        try unsafe transaction.value(of: tables.meta, key: MetaKey.forgottenErasures).map {
            try unsafe ErasureRecord.decodeForgotten($0)
        }
    }

    /// Forgets erasures that are older than they have to be; whether there were any.
    func forgetErasures(now: Timestamp) throws -> Bool {
        let (end, isBeforeTime) = now.milliseconds.subtractingReportingOverflow(
            options.erasureRetention.components.seconds * 1000
        )
        if isBeforeTime { return false }
        let (old, newest) = try environment.read { transaction -> ([ErasurePosition], Timestamp?) in
            var old: [ErasurePosition] = []
            var newest: Timestamp?
            try unsafe transaction.forEach(in: tables.erasures) { entry in
                guard let position = unsafe ErasurePosition(keyBytes: entry.key) else {
                    throw PartitionStoreError.malformed(table: "erasures", reason: "a key of another size")
                }
                let erasure = try unsafe ErasureRecord.decode(entry.value, at: position)
                guard erasure.time.milliseconds < end, old.count < Self.forgettingLimit else { return .stop }
                old.append(position)
                newest = max(newest ?? erasure.time, erasure.time)
                return .next
            }
            return (old, newest)
        }
        guard let newest else { return false }
        try environment.write { transaction in
            for position in old { try transaction.delete(tables.erasures, key: position) }
            let known = try forgottenErasures(transaction.reading)
            try transaction.put(
                tables.meta,
                key: MetaKey.forgottenErasures,
                value: ErasureRecord.encode(forgotten: max(known ?? newest, newest))
            )
        }
        return true
    }

    /// Every entry is sound and of a write that there was.
    func verifyErasures(_ state: PartitionState, _ transaction: borrowing ReadTransaction) throws {
        _ = try forgottenErasures(transaction)
        try unsafe transaction.forEach(in: tables.erasures) { entry in
            guard let position = unsafe ErasurePosition(keyBytes: entry.key), position.sequence <= state.sequence else {
                throw PartitionStoreError.malformed(table: "erasures", reason: "a key that is of no write")
            }
            _ = try unsafe ErasureRecord.decode(entry.value, at: position)
            return .next
        }
    }
}
