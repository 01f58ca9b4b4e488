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

    /// Ascending.
    var faces: [Int] { (0..<SimulatedClient.faceCount).filter { contains(FaceSet(face: $0)) } }
}

/// What a replica has on disk: the log, and the faces as of the entry applied last. A step changes all of it at once.
struct SimulatedDisk: Sendable {
    /// What was applied under a key.
    struct Receipt: Hashable, Sendable {
        var sequence: UInt64
        var faces: FaceSet

        /// Of parts of one write, in shards that became one.
        func joined(with other: Receipt) -> Receipt {
            Receipt(sequence: min(sequence, other.sequence), faces: faces.union(other.faces))
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

    /// Forgets the applied entries but the last few.
    mutating func trim(keeping count: Int) {
        let excess = Int(image.applied.sequence - logStart.sequence) - count
        guard excess > 0, let start = position(logStart.sequence + UInt64(excess)) else { return }
        entries.removeFirst(excess)
        logStart = start
    }

    /// Takes the place of everything, but never of a promise.
    mutating func install(_ image: Image) {
        self.image = image
        logStart = image.applied
        entries.removeAll()
    }
}
