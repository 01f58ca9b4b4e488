/// What the pseudonyms of erased faces are keyed by. A collection that is restored from a backup goes on with the key
/// of the one that was backed up: their ledgers are of one kind.
package struct ErasureKey: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The key of a collection from before there were keys. It follows from the id, and is no secret.
    package init(of collection: CollectionID) {
        self.init(high: ~collection.high, low: ~collection.low)
    }

    package static func random() -> ErasureKey {
        ErasureKey(high: .random(in: .min ... .max), low: .random(in: .min ... .max))
    }
}

/// One deletion, or the removal of a face that had expired, as it is remembered: under a pseudonym, never the face's
/// id. A deletion is remembered whether the face was there or not.
package struct Erasure: Hashable, Sendable {
    /// Keyed hash of the face's id; of one that had expired, the complement of that.
    package var pseudonym: UInt128
    /// Of the write that removed it. What the face was in this version or before must not come back; what was enrolled
    /// later under its id is another face.
    package var version: FaceVersion
    /// By the clock of the replica that keeps it; of an expiry not before the time at which the face was to expire.
    package var time: Timestamp

    package init(pseudonym: UInt128, version: FaceVersion, time: Timestamp) {
        self.pseudonym = pseudonym
        self.version = version
        self.time = time
    }
}

extension [Erasure] {
    /// Puts them in order of pseudonym and version, each once. What is left of several that are the same is the one
    /// with the latest time: each replica has its own clock.
    package mutating func removeRepetitions() {
        sort { ($0.pseudonym, $0.version, $1.time) < ($1.pseudonym, $1.version, $0.time) }
        var count = 0
        for index in indices {
            let erasure = self[index]
            if count > 0 {
                let last = self[count - 1]
                if last.pseudonym == erasure.pseudonym, last.version == erasure.version { continue }
            }
            self[count] = erasure
            count += 1
        }
        removeLast(self.count - count)
    }
}

/// The place of an erasure in a partition's ledger: the write, and which of those of its number.
///
/// In the file it is counted in the order in which they came, which is another on each replica of a shard that was
/// merged. Where a ledger is read it is the upper 32 bits of the pseudonym, by which all replicas have one order.
package struct ErasurePosition: Hashable, Comparable, Sendable {
    package var sequence: UInt64
    package var index: UInt32

    package init(sequence: UInt64, index: UInt32) {
        self.sequence = sequence
        self.index = index
    }

    package static func < (left: ErasurePosition, right: ErasurePosition) -> Bool {
        (left.sequence, left.index) < (right.sequence, right.index)
    }
}
