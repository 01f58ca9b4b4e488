import ClusterModel
import ShardReplication
import VectorMath

/// What everybody saw of one shard, and what has to follow from it.
///
/// The log gives the order: whoever applies an entry first fixes it, and everybody else must apply the same. So each
/// check takes constant time, and no order has to be searched for.
struct ShardHistory: Sendable {
    private struct Entry: Sendable {
        var epoch: Epoch
        var write: SimulatedWrite
        /// Of the faces behind it.
        var digest: UInt64
    }

    let range: HashRange
    /// Sequence of the last entry of the shards whose place it took.
    let base: UInt64
    private let baseDigest: UInt64
    private var entries: [Entry] = []
    private(set) var faces: [Int: UInt64]
    private(set) var done: Set<UInt64>
    private var acknowledgements: [(time: Duration, highest: UInt64)] = []
    private var highestDeletion: UInt64 = 0
    private(set) var highestAcknowledged: UInt64
    private var primaries: [Epoch: NodeID] = [:]
    private(set) var acknowledgedCount = 0
    /// When a write of the face was first acknowledged here, and whether a deletion was.
    private(set) var acknowledgedFaces: [Int: (time: Duration, isDeleted: Bool)] = [:]
    /// Shards that took its place.
    var successors: [ShardID] = []

    init(range: HashRange, base: UInt64 = 0, faces: [Int: UInt64] = [:], done: Set<UInt64> = []) {
        self.range = range
        self.base = base
        self.faces = faces
        self.done = done
        baseDigest = Self.digest(faces)
        highestAcknowledged = base
    }

    var last: UInt64 { base + UInt64(entries.count) }

    static func digest(_ faces: [Int: UInt64]) -> UInt64 {
        faces.reduce(0) { sum, face in
            var random = SplitMix64(seed: UInt64(face.key) &* 0x1_0000_0001 &+ face.value)
            return sum &+ random.next()
        }
    }

    private func entry(_ sequence: UInt64) -> Entry? {
        sequence > base && sequence <= last ? entries[Int(sequence - base) - 1] : nil
    }

    mutating func applied(_ item: LogItem<SimulatedWrite>, by node: NodeID, at time: Duration) throws(Violation) {
        if item.sequence <= last {
            // What a disk that went back has of the shards before is not looked at.
            guard let known = entry(item.sequence) else { return }
            guard known.epoch == item.epoch, known.write == item.payload else {
                throw Violation(
                    promise: .oneLog,
                    time: time,
                    details: "\(node) applied \(item.payload) of epoch \(item.epoch.number) at \(item.sequence), "
                        + "where \(known.write) of epoch \(known.epoch.number) had been applied"
                )
            }
            return
        }
        guard item.sequence == last + 1, successors.isEmpty else {
            throw Violation(promise: .oneLog, time: time, details: "\(node) applied \(item.sequence) behind \(last)")
        }
        if done.insert(item.payload.key).inserted {
            for face in item.payload.faces.faces { faces[face] = item.payload.value }
        }
        entries.append(Entry(epoch: item.epoch, write: item.payload, digest: Self.digest(faces)))
    }

    /// - Parameter ordered: what the log has of the write at the sequence.
    mutating func acknowledged(
        _ write: SimulatedWrite,
        orderedAs ordered: SimulatedWrite,
        sequence: UInt64,
        by node: NodeID,
        under epoch: Epoch,
        at time: Duration
    ) throws(Violation) {
        acknowledgedCount += 1
        if let other = primaries[epoch], other != node {
            throw Violation(
                promise: .onePrimary,
                time: time,
                details: "\(node) and \(other) both acknowledged in epoch \(epoch.number)"
            )
        }
        primaries[epoch] = node
        guard let known = entry(sequence), known.write == ordered else {
            throw Violation(promise: .durability, time: time, details: "\(write) at \(sequence) is not in the log")
        }
        highestAcknowledged = max(highestAcknowledged, sequence)
        acknowledgements.append((time, highestAcknowledged))
        if write.value == nil { highestDeletion = max(highestDeletion, sequence) }
        for face in write.faces.faces {
            let before = acknowledgedFaces[face]
            acknowledgedFaces[face] = (before?.time ?? time, write.value == nil || before?.isDeleted ?? false)
        }
    }

    /// A replica answered a read from what it has.
    ///
    /// - Parameter staleness: what was acknowledged longer ago must be there.
    mutating func read(
        _ image: SimulatedDisk.Image,
        by node: NodeID,
        at time: Duration,
        staleness: Duration
    ) throws(Violation) {
        try check(image, of: node, at: time)
        let sequence = image.applied.sequence
        guard sequence >= highestDeletion else {
            throw Violation(
                promise: .deletion,
                time: time,
                details: "\(node) answered as of \(sequence); a deletion at \(highestDeletion) was acknowledged"
            )
        }
        let floor = acknowledgements.last { $0.time <= time - staleness }?.highest ?? base
        guard sequence >= floor else {
            throw Violation(
                promise: .freshness,
                time: time,
                details: "\(node) answered as of \(sequence); \(floor) was acknowledged \(staleness) before"
            )
        }
        // Only the young ones matter from now on.
        if acknowledgements.count > 4096 { acknowledgements.removeFirst(2048) }
    }

    /// A replica's faces must be those that the log makes.
    func check(_ image: SimulatedDisk.Image, of node: NodeID, at time: Duration) throws(Violation) {
        let sequence = image.applied.sequence
        guard sequence <= last else {
            throw Violation(promise: .equality, time: time, details: "\(node) is ahead of everybody")
        }
        guard sequence >= base || sequence == 0 else { return }
        let expected = sequence == 0 && base > 0 ? 0 : entry(sequence)?.digest ?? baseDigest
        guard Self.digest(image.faces) == expected else {
            throw Violation(promise: .equality, time: time, details: "\(node) holds other faces at \(sequence)")
        }
    }

    /// After all: what was acknowledged is there.
    func checkEnd(_ image: SimulatedDisk.Image, of node: NodeID, at time: Duration) throws(Violation) {
        try check(image, of: node, at: time)
        guard image.applied.sequence >= highestAcknowledged else {
            throw Violation(
                promise: .durability,
                time: time,
                details: "\(node) ends at \(image.applied.sequence); \(highestAcknowledged) was acknowledged"
            )
        }
    }
}

/// What everybody saw of all shards that there ever were.
struct History: Sendable {
    private var shards: [ShardID: ShardHistory] = [:]
    private var rejected: Set<UInt64> = []
    /// By what its client calls a write: the key under which each face of it was done first, and the faces of it that
    /// were acknowledged.
    private var keys: [UInt64: [Int: UInt64]] = [:]
    private var acknowledgedFaces: [UInt64: FaceSet] = [:]

    var entryCount: UInt64 { shards.values.reduce(0) { $0 + $1.last - $1.base } }

    func acknowledgedCount(in shard: ShardID) -> Int { shards[shard]?.acknowledgedCount ?? 0 }

    func highestAcknowledged(in shard: ShardID) -> UInt64 { shards[shard]?.highestAcknowledged ?? 0 }

    mutating func began(_ shard: ShardID, _ range: HashRange) { shards[shard] = ShardHistory(range: range) }

    mutating func rejected(_ write: SimulatedWrite) { rejected.insert(write.origin) }

    mutating func applied(
        _ item: LogItem<SimulatedWrite>,
        in shard: ShardID,
        by node: NodeID,
        at time: Duration
    ) throws(Violation) {
        try shards[shard]?.applied(item, by: node, at: time)
        let write = item.payload
        for face in write.faces.faces {
            let key = keys[write.origin, default: [:]][face, default: write.key]
            keys[write.origin, default: [:]][face] = key
            guard key == write.key else {
                throw Violation(
                    promise: .keys,
                    time: time,
                    details: "face \(face) of write \(write.origin) is written under \(write.key) after \(key)"
                )
            }
        }
    }

    /// A client was told that all of its write is done.
    func toldAsAcknowledged(_ write: SimulatedWrite, at time: Duration) throws(Violation) {
        let missing = write.faces.subtracting(acknowledgedFaces[write.origin] ?? [])
        guard missing.isEmpty else {
            throw Violation(
                promise: .durability,
                time: time,
                details: "write \(write.origin) was acknowledged; no shard has done so for faces \(missing.faces)"
            )
        }
    }

    /// - Parameter ordered: what the shard's log has of the write.
    mutating func acknowledged(
        _ write: SimulatedWrite,
        orderedAs ordered: SimulatedWrite,
        in shard: ShardID,
        sequence: UInt64,
        by node: NodeID,
        under epoch: Epoch,
        at time: Duration
    ) throws(Violation) {
        try shards[shard]?.acknowledged(
            write,
            orderedAs: ordered,
            sequence: sequence,
            by: node,
            under: epoch,
            at: time
        )
        acknowledgedFaces[write.origin, default: []].formUnion(write.faces)
    }

    /// Shards have taken the place of others: everything that was applied of those is theirs.
    mutating func succeeded(
        _ sources: [ShardID],
        by successors: [ShardPlacement],
        at time: Duration
    ) throws(Violation) {
        let before = sources.compactMap { shards[$0] }
        let base = before.map(\.last).reduce(0, +)
        let faces = before.reduce(into: [Int: UInt64]()) { $0.merge($1.faces) { first, _ in first } }
        let done = before.reduce(into: Set<UInt64>()) { $0.formUnion($1.done) }
        for successor in successors {
            shards[successor.shard] = ShardHistory(
                range: successor.range,
                base: base,
                faces: faces.filter { successor.range.contains(SimulatedClient.position(of: $0.key)) },
                done: done
            )
        }
        for source in sources { shards[source]?.successors = successors.map(\.shard) }
    }

    mutating func read(
        _ image: SimulatedDisk.Image,
        of shard: ShardID,
        by node: NodeID,
        at time: Duration,
        staleness: Duration
    ) throws(Violation) {
        try shards[shard]?.read(image, by: node, at: time, staleness: staleness)
        guard let own = shards[shard] else { return }
        // Other shards may have taken its place without its knowing: what was acknowledged by them counts, too.
        var successors = own.successors
        while let next = successors.popLast().flatMap({ shards[$0] }) {
            successors += next.successors
            for (face, acknowledged) in next.acknowledgedFaces.sorted(by: { $0.key < $1.key })
            where own.range.contains(SimulatedClient.position(of: face)) {
                if acknowledged.isDeleted, image.faces[face] != nil {
                    throw Violation(
                        promise: .deletion,
                        time: time,
                        details: "\(node) shows face \(face) of \(shard.index), deleted where others took its place"
                    )
                }
                guard acknowledged.time > time - staleness else {
                    throw Violation(
                        promise: .freshness,
                        time: time,
                        details: "\(node) answers for \(shard.index) long after others took its place"
                    )
                }
            }
        }
    }

    /// A strong read was answered by a place in the log: nothing that was acknowledged when it was asked for is behind
    /// it, in its shard or in those that took the shard's place.
    func strongRead(
        _ read: StrongRead,
        answeredAs position: UInt64,
        by node: NodeID,
        at time: Duration
    ) throws(Violation) {
        guard position >= read.acknowledged else {
            throw Violation(
                promise: .strongReads,
                time: time,
                details: "\(node) says \(position) for \(read.shard.index) to a read of \(read.asked), when "
                    + "\(read.acknowledged) was acknowledged"
            )
        }
        guard let own = shards[read.shard] else { return }
        var successors = own.successors
        while let next = successors.popLast().flatMap({ shards[$0] }) {
            successors += next.successors
            let isMissed = next.acknowledgedFaces.contains { face, acknowledged in
                own.range.contains(SimulatedClient.position(of: face)) && acknowledged.time <= read.asked
            }
            guard !isMissed else {
                throw Violation(
                    promise: .strongReads,
                    time: time,
                    details: "\(node) answers a read of \(read.asked) for \(read.shard.index), where others had taken "
                        + "its place"
                )
            }
        }
    }

    func check(
        _ image: SimulatedDisk.Image,
        in shard: ShardID,
        of node: NodeID,
        at time: Duration
    ) throws(Violation) {
        try shards[shard]?.check(image, of: node, at: time)
    }

    /// After all: what was acknowledged is there, what was refused is not.
    func checkEnd(
        _ image: SimulatedDisk.Image,
        in shard: ShardID,
        of node: NodeID,
        at time: Duration
    ) throws(Violation) {
        try shards[shard]?.checkEnd(image, of: node, at: time)
        if let done = shards[shard]?.done, let key = rejected.sorted().first(where: done.contains) {
            throw Violation(promise: .rejection, time: time, details: "write \(key) was refused, and is there")
        }
    }
}
