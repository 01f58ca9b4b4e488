package import ClusterModel
package import WireProtocol

/// Which coordinators a worker should tell of itself: those of its configuration, and those that their replies name.
///
/// A coordinator that is reached at a configured address needs no second one; when it is not, because it has moved, the
/// address that the others have of it counts.
package struct CoordinatorList: Sendable {
    /// A coordinator at a configured address, as far as it has answered.
    package struct Configured: Hashable, Sendable {
        package var address: NodeAddress
        /// Nil when it did not take the last heartbeat.
        package var reached: NodeID?

        package init(address: NodeAddress, reached: NodeID?) {
            self.address = address
            self.reached = reached
        }
    }

    /// What one coordinator last said.
    private struct Word: Sendable {
        var heard: ContinuousClock.Instant
        var named: [NodeID: NodeAddress]
    }

    /// The word of one that is silent for so long, while others answer, counts no more.
    package static let patience = Duration.seconds(60)
    /// Most coordinators whose words count, and most addresses besides the configured ones.
    package static let limit = 64

    private var words: [NodeID: Word] = [:]

    package init() {}

    /// Takes note of a reply.
    ///
    /// Each coordinator's last word counts, whatever revision it is of: the records may have moved to another store, or
    /// the store been put back, where revisions are lower. One that is cut off from the store names some who are gone;
    /// to tell those costs little.
    package mutating func heard(_ reply: HeartbeatReply, now: ContinuousClock.Instant = .now) {
        words = words.filter { now - $0.value.heard < Self.patience }
        let named = Dictionary(reply.coordinators.map { ($0.id, $0.address) }, uniquingKeysWith: { _, last in last })
        words[reply.coordinator] = Word(heard: now, named: named)
        if words.count > Self.limit, let oldest = words.min(by: { $0.value.heard < $1.value.heard }) {
            words[oldest.key] = nil
        }
    }

    /// The addresses to tell besides the configured ones.
    package func addresses(besides configured: [Configured]) -> Set<NodeAddress> {
        let reached = Set(configured.compactMap(\.reached))
        let known = Set(configured.map(\.address))
        var addresses: Set<NodeAddress> = []
        for word in words.values.sorted(by: { $0.heard > $1.heard }) {
            for (id, address) in word.named.sorted(by: { $0.key < $1.key })
            where addresses.count < Self.limit && !reached.contains(id) && !known.contains(address) {
                addresses.insert(address)
            }
        }
        return addresses
    }
}
