internal import FaceModel
internal import LMDB
internal import PartitionStore

/// Ledgers of erasures of the sources. They come over whole, since pseudonyms do not tell which faces they are of; one
/// that is in the ledgers of two is one erasure, whatever their clocks said.
extension SuccessorBuilder {
    /// Erasures that come over in one commit.
    private static let erasuresAtOnce = 8192

    /// Takes some erasures over that are not here yet.
    ///
    /// - Returns: whether there are more.
    package func copyErasures() throws(PartitionError) -> Bool {
        do {
            return try takeErasures()
        } catch {
            throw PartitionError(error)
        }
    }

    func takeErasures() throws -> Bool {
        var pages: [ErasurePage] = []
        var room = Self.erasuresAtOnce
        for source in sources {
            let page = try source.partition.erasures(after: source.lastErasure, limit: room)
            room -= page.erasures.count
            pages.append(page)
        }
        if room < Self.erasuresAtOnce {
            // The last few are not worth beginning anew for.
            if pages.contains(where: { !$0.isLast }) { try partition.checkFreeDisk() }
            try partition.environment.write { transaction in
                for page in pages { try enter(page.erasures, transaction) }
            }
        }
        for (index, page) in pages.enumerated() {
            if let last = page.last { sources[index].lastErasure = last }
        }
        return pages.contains { !$0.isLast }
    }

    /// The erasures that the ledger has of writes of one number.
    private struct Entered {
        /// An erasure, whoever noted when it was: each replica has its own clock.
        private struct Key: Hashable {
            let pseudonym: UInt128
            let epoch: UInt64
        }

        let sequence: UInt64
        private var known: [Key: (index: UInt32, time: Timestamp)] = [:]
        /// The first place among them that is free.
        private var end: UInt32 = 0

        init(sequence: UInt64) {
            self.sequence = sequence
        }

        /// Takes note of one that is there.
        mutating func note(_ erasure: Erasure, at place: ErasurePosition) {
            end = max(end, place.index + 1)
            let key = Key(pseudonym: erasure.pseudonym, epoch: erasure.version.epoch)
            if let known = known[key], known.time >= erasure.time { return }
            known[key] = (place.index, erasure.time)
        }

        /// Where to put one; nil for one that is there with that time or a later one.
        mutating func place(of erasure: Erasure) -> ErasurePosition? {
            let known = known[Key(pseudonym: erasure.pseudonym, epoch: erasure.version.epoch)]
            if let known, known.time >= erasure.time { return nil }
            let place = ErasurePosition(sequence: sequence, index: known?.index ?? end)
            note(erasure, at: place)
            return place
        }
    }

    /// Puts erasures that are not there yet into the ledger: each behind those of the writes of the same number, which
    /// every source may have had. One that is there keeps its place, and the latest time.
    ///
    /// - Parameter erasures: in order of their writes.
    private func enter(_ erasures: [Erasure], _ transaction: borrowing WriteTransaction) throws {
        var entered = Entered(sequence: 0)
        var isRead = false
        for erasure in erasures {
            if !isRead || entered.sequence != erasure.version.sequence {
                entered = try self.entered(at: erasure.version.sequence, transaction.reading)
                isRead = true
            }
            guard let place = entered.place(of: erasure) else { continue }
            let value = ErasureRecord.encode(erasure, at: place)
            try transaction.put(partition.tables.erasures, key: place, value: value)
        }
    }

    private func entered(at sequence: UInt64, _ reading: borrowing ReadTransaction) throws -> Entered {
        var entered = Entered(sequence: sequence)
        let first = ErasurePosition(sequence: sequence, index: 0)
        try unsafe reading.forEach(in: partition.tables.erasures, .from(first)) { entry in
            guard let place = unsafe ErasurePosition(keyBytes: entry.key) else {
                throw PartitionStoreError.malformed(table: "erasures", reason: "a key of another size")
            }
            guard place.sequence == sequence else { return .stop }
            entered.note(try unsafe ErasureRecord.decode(entry.value, at: place), at: place)
            return .next
        }
        return entered
    }

    /// Time of the newest erasure that a source, or this partition, has forgotten. Asked for once all have come over:
    /// what is forgotten before it came is missing here.
    func forgottenErasures(_ reading: borrowing ReadTransaction) throws -> Timestamp? {
        var newest = try partition.forgottenErasures(reading)
        for source in sources {
            let own = try source.partition.environment.read { try source.partition.forgottenErasures($0) }
            if let own { newest = max(newest ?? own, own) }
        }
        return newest
    }
}
