import ClusterModel
import ShardReplication

/// What a client asks for in a simulated run: one write of a face, or of a few at once, or what a shard gets of it.
package struct SimulatedWrite: Hashable, Sendable {
    /// Idempotency key.
    var key: UInt64
    /// The key that its client gave it, which says what is one write.
    let origin: UInt64
    var faces: FaceSet
    /// What the faces are to be; nil deletes them.
    var value: UInt64?

    init(key: UInt64, faces: FaceSet, value: UInt64?) {
        self.key = key
        origin = key
        self.faces = faces
        self.value = value
    }

    var isFace: Bool { value != nil }

    /// The key under which the rest of a write is done that a merged shard knows in part.
    static func keyOfRest(_ key: UInt64) -> UInt64 { key + 1 << 56 }
}

/// Some of the faces that clients write.
struct FaceSet: OptionSet, Hashable, Sendable {
    let rawValue: UInt8

    init(rawValue: UInt8) {
        self.rawValue = rawValue
    }

    init(face: Int) {
        self.init(rawValue: 1 << UInt8(face))
    }

    init(faces: [Int]) {
        self.init(faces.map { FaceSet(face: $0) })
    }

    /// Those whose places are in a range.
    init(within range: HashRange) {
        self.init(faces: (0..<SimulatedClient.faceCount).filter { range.contains(SimulatedClient.position(of: $0)) })
    }

    /// Ascending.
    var faces: [Int] { (0..<SimulatedClient.faceCount).filter { contains(FaceSet(face: $0)) } }
}

/// What a replica has on disk: the log, and the faces as of the entry applied last. A step changes all of it at once.
struct SimulatedDisk: Sendable {
    /// What was applied under a key.
    struct Receipt: Hashable, Sendable {
        var sequence: UInt64
        var faces: FaceSet
        /// Faces of which it tells whether the write has them; nil for all of its shard. The others are of a shard that
        /// had not been sent its part when it became one with another.
        var reach: FaceSet?

        /// As a shard has it with faces `own` that took the place of one with faces `source`.
        func inherited(from source: FaceSet, in own: FaceSet) -> Receipt {
            let told = reach ?? source
            return Receipt(sequence: sequence, faces: faces, reach: told.isSuperset(of: own) ? nil : told)
        }

        /// Of parts of one write, in shards that became one with faces `own`.
        func joined(with other: Receipt, in own: FaceSet) -> Receipt {
            var told: FaceSet?
            if let reach, let others = other.reach { told = reach.union(others) }
            return Receipt(
                sequence: min(sequence, other.sequence),
                faces: faces.union(other.faces),
                reach: told.flatMap { $0.isSuperset(of: own) ? nil : $0 }
            )
        }
    }

    /// The part that a copy brings.
    struct Image: Hashable, Sendable {
        var applied = LogPosition.start
        var faces: [Int: UInt64] = [:]
        /// By idempotency key.
        var receipts: [UInt64: Receipt] = [:]
        /// Newest codebook, and one that still has codes beside it; 0 for none.
        var generation: UInt32 = 0
        var olderGeneration: UInt32 = 0

        /// What is to be done of a write: all of it, or the rest of one that is known in part, under another key.
        func rest(of write: SimulatedWrite) -> SimulatedWrite {
            var rest = write
            while let reach = receipts[rest.key]?.reach, !reach.isSuperset(of: rest.faces) {
                rest.faces.subtract(reach)
                rest.key = SimulatedWrite.keyOfRest(rest.key)
            }
            return rest
        }

        /// Whether a write's key is that of another one.
        func isReused(by write: SimulatedWrite) -> Bool {
            var rest = write
            while let receipt = receipts[rest.key], !rest.faces.isEmpty {
                let told = receipt.reach ?? rest.faces
                guard receipt.faces.isSuperset(of: rest.faces.intersection(told)) else { return true }
                rest.faces.subtract(told)
                rest.key = SimulatedWrite.keyOfRest(rest.key)
            }
            return false
        }

        /// Whether a face's part of the write of a key is known.
        func tells(of face: Int, under key: UInt64) -> Bool {
            var key = key
            while let receipt = receipts[key] {
                guard let reach = receipt.reach, !reach.contains(FaceSet(face: face)) else { return true }
                key = SimulatedWrite.keyOfRest(key)
            }
            return false
        }
    }

    var promised = Epoch(0)
    /// Version of the group by which no write is ordered; 0 while writes are.
    var frozenVersion: UInt64 = 0
    var image = Image()
    /// Position before the first entry kept.
    private(set) var logStart = LogPosition.start
    private(set) var entries: [LogItem<SimulatedWrite>] = []

    init() {}

    /// That of a shard which takes the place of others: its log goes on behind the image.
    init(succeeding image: Image) {
        self.image = image
        logStart = image.applied
        promised = image.applied.epoch
    }

    var last: LogPosition {
        entries.last.map { LogPosition(sequence: $0.sequence, epoch: $0.epoch) } ?? logStart
    }

    var log: DurableLog {
        DurableLog(
            promised: promised,
            applied: image.applied,
            unapplied: entries.filter { $0.sequence > image.applied.sequence }
                .map { LogPosition(sequence: $0.sequence, epoch: $0.epoch) }
        )
    }

    func entry(_ sequence: UInt64) -> LogItem<SimulatedWrite>? {
        guard sequence > logStart.sequence, sequence <= last.sequence else { return nil }
        return entries[Int(sequence - logStart.sequence) - 1]
    }

    func position(_ sequence: UInt64) -> LogPosition? {
        if sequence == logStart.sequence { return logStart }
        return entry(sequence).map { LogPosition(sequence: $0.sequence, epoch: $0.epoch) }
    }

    /// Entries from `first` on, a few; empty when they are gone.
    func entries(from first: UInt64) -> [LogItem<SimulatedWrite>] {
        guard first > logStart.sequence, first <= last.sequence else { return [] }
        return Array(entries[Int(first - logStart.sequence - 1)...].prefix(32))
    }

    /// Makes a step durable.
    ///
    /// - Parameters:
    ///   - applied: called for every entry that is applied.
    mutating func commit(
        _ step: LogStep<SimulatedWrite>,
        fault: WorldFault?,
        applied: (LogItem<SimulatedWrite>) -> Void
    ) {
        promised = max(promised, step.promise ?? promised)
        if let cut = step.truncateAfter { entries.removeAll { $0.sequence > cut } }
        entries += step.append
        while image.applied.sequence < step.applyThrough, let item = entry(image.applied.sequence + 1) {
            image.applied = LogPosition(sequence: item.sequence, epoch: item.epoch)
            applied(item)
            // A write that was done before changes nothing.
            guard image.receipts[item.payload.key] == nil || fault == .noDeduplication else { continue }
            image.receipts[item.payload.key] = Receipt(sequence: item.sequence, faces: item.payload.faces)
            for face in item.payload.faces.faces { image.faces[face] = item.payload.value }
        }
    }

    /// Forgets the entries through one that is applied.
    mutating func forget(through sequence: UInt64) {
        guard sequence > logStart.sequence, let start = position(sequence) else { return }
        entries.removeFirst(Int(sequence - logStart.sequence))
        logStart = start
    }

    /// Takes the place of everything, but never of a promise.
    mutating func install(_ image: Image) {
        self.image = image
        logStart = image.applied
        entries.removeAll()
    }
}
