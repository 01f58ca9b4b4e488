import ClusterModel
import ShardReplication
import VectorMath

/// What everybody saw, and what has to follow from it.
///
/// The log gives the order: whoever applies an entry first fixes it, and everybody else must apply the same. So each
/// check takes constant time, and no order has to be searched for.
struct History: Sendable {
    private struct Entry: Sendable {
        var epoch: Epoch
        var write: SimulatedWrite
        /// Of the faces behind it.
        var digest: UInt64
    }

    private var entries: [Entry] = []
    private var faces: [Int: UInt64] = [:]
    private var done: Set<UInt64> = []
    private var acknowledgements: [(time: Duration, highest: UInt64)] = []
    private var highestDeletion: UInt64 = 0
    private(set) var highestAcknowledged: UInt64 = 0
    private var primaries: [Epoch: NodeID] = [:]
    private var rejected: Set<UInt64> = []
    private(set) var acknowledgedCount = 0
    private(set) var readCount = 0

    var count: UInt64 { UInt64(entries.count) }

    static func digest(_ faces: [Int: UInt64]) -> UInt64 {
        faces.reduce(0) { sum, face in
            var random = SplitMix64(seed: UInt64(face.key) &* 0x1_0000_0001 &+ face.value)
            return sum &+ random.next()
        }
    }

    mutating func applied(_ item: LogItem<SimulatedWrite>, by node: NodeID, at time: Duration) throws(Violation) {
        if item.sequence <= count {
            let known = entries[Int(item.sequence) - 1]
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
        guard item.sequence == count + 1 else {
            throw Violation(promise: .oneLog, time: time, details: "\(node) applied \(item.sequence) behind \(count)")
        }
        if done.insert(item.payload.key).inserted { faces[item.payload.face] = item.payload.value }
        entries.append(Entry(epoch: item.epoch, write: item.payload, digest: Self.digest(faces)))
    }

    mutating func acknowledged(
        _ write: SimulatedWrite,
        sequence: UInt64,
        by node: NodeID,
        in epoch: Epoch,
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
        guard sequence <= count, entries[Int(sequence) - 1].write == write else {
            throw Violation(promise: .durability, time: time, details: "\(write) at \(sequence) is not in the log")
        }
        highestAcknowledged = max(highestAcknowledged, sequence)
        acknowledgements.append((time, highestAcknowledged))
        if write.value == nil { highestDeletion = max(highestDeletion, sequence) }
    }

    mutating func rejected(_ write: SimulatedWrite) { rejected.insert(write.key) }

    /// A replica answered a read from what it has.
    ///
    /// - Parameter staleness: what was acknowledged longer ago must be there.
    mutating func read(
        _ image: SimulatedDisk.Image,
        by node: NodeID,
        at time: Duration,
        staleness: Duration
    ) throws(Violation) {
        readCount += 1
        try check(image, of: node, at: time)
        let sequence = image.applied.sequence
        guard sequence >= highestDeletion else {
            throw Violation(
                promise: .deletion,
                time: time,
                details: "\(node) answered as of \(sequence); a deletion at \(highestDeletion) was acknowledged"
            )
        }
        let floor = acknowledgements.last { $0.time <= time - staleness }?.highest ?? 0
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
        guard sequence <= count else {
            throw Violation(promise: .equality, time: time, details: "\(node) is ahead of everybody")
        }
        let expected = sequence == 0 ? 0 : entries[Int(sequence) - 1].digest
        guard Self.digest(image.faces) == expected else {
            throw Violation(promise: .equality, time: time, details: "\(node) holds other faces at \(sequence)")
        }
    }

    /// After all: what was acknowledged is there, what was refused is not.
    func checkEnd(_ image: SimulatedDisk.Image, of node: NodeID, at time: Duration) throws(Violation) {
        try check(image, of: node, at: time)
        guard image.applied.sequence >= highestAcknowledged else {
            throw Violation(
                promise: .durability,
                time: time,
                details: "\(node) ends at \(image.applied.sequence); \(highestAcknowledged) was acknowledged"
            )
        }
        if let key = rejected.sorted().first(where: done.contains) {
            throw Violation(promise: .rejection, time: time, details: "write \(key) was refused, and is there")
        }
    }
}
