internal import FaceModel
internal import LMDB
internal import PartitionStore

/// Ledgers of erasures of the sources. They come over whole, since pseudonyms do not tell which faces they are of; one
/// that is in the ledgers of two is one erasure.
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
            // Fewer are not worth beginning anew for.
            if room == 0 { try partition.checkFreeDisk() }
            try partition.environment.write { transaction in
                for page in pages { try enter(page.erasures, transaction) }
            }
        }
        for (index, page) in pages.enumerated() {
            if let last = page.last { sources[index].lastErasure = last }
        }
        return pages.contains { !$0.isLast }
    }

    /// Puts erasures that are not there yet into the ledger: each behind those of the writes of the same number, which
    /// every source may have had.
    ///
    /// - Parameter erasures: in order of their writes.
    private func enter(_ erasures: [Erasure], _ transaction: borrowing WriteTransaction) throws {
        var known: Set<Erasure> = []
        var next: ErasurePosition?
        for erasure in erasures {
            var place = ErasurePosition(sequence: erasure.version.sequence, index: 0)
            if let next, next.sequence == place.sequence {
                place = next
            } else {
                (known, place.index) = try entered(at: place.sequence, transaction.reading)
            }
            if known.insert(erasure).inserted {
                let value = ErasureRecord.encode(erasure, at: place)
                try transaction.put(partition.tables.erasures, key: place, value: value)
                place.index += 1
            }
            next = place
        }
    }

    /// The erasures that the ledger has of writes of one number, and the first number among them that is free.
    private func entered(
        at sequence: UInt64,
        _ reading: borrowing ReadTransaction
    ) throws -> (erasures: Set<Erasure>, end: UInt32) {
        var erasures: Set<Erasure> = []
        var end: UInt32 = 0
        let first = ErasurePosition(sequence: sequence, index: 0)
        try unsafe reading.forEach(in: partition.tables.erasures, .from(first)) { entry in
            guard let place = unsafe ErasurePosition(keyBytes: entry.key) else {
                throw PartitionStoreError.malformed(table: "erasures", reason: "a key of another size")
            }
            guard place.sequence == sequence else { return .stop }
            erasures.insert(try unsafe ErasureRecord.decode(entry.value, at: place))
            end = place.index + 1
            return .next
        }
        return (erasures, end)
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
