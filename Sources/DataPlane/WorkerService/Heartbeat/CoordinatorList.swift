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

    private var revision: UInt64 = 0
    private var named: [NodeID: NodeAddress] = [:]

    package init() {}

    /// Takes note of a reply, unless a newer one was there before: coordinators hear of changes one after the other.
    package mutating func heard(_ reply: HeartbeatReply) {
        guard reply.revision >= revision else { return }
        revision = reply.revision
        named = Dictionary(reply.coordinators.map { ($0.id, $0.address) }, uniquingKeysWith: { _, last in last })
    }

    /// The addresses to tell besides the configured ones.
    package func addresses(besides configured: [Configured]) -> Set<NodeAddress> {
        let reached = Set(configured.compactMap(\.reached))
        return Set(named.filter { !reached.contains($0.key) }.values).subtracting(configured.map(\.address))
    }
}
