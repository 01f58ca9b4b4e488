/// What a node writes into the store while it competes for the lease.
package struct LeaseCandidate: Sendable {
    package struct Record: Hashable, Sendable {
        package var key: String
        package var value: [UInt8]

        package init(key: String, value: [UInt8]) {
            self.key = key
            self.value = value
        }
    }

    /// There as long as the node competes, whether it has the lease or not.
    package var presence: Record
    /// The record that only the holder of the lease has there; its value is made when the lease is won.
    package var leaseKey: String
    package var leaseValue: @Sendable () -> [UInt8]
    /// Whether the node can do with the lease what it is for: one that cannot leaves it to the others.
    package var mayHold: @Sendable () -> Bool

    package init(
        presence: Record,
        leaseKey: String,
        leaseValue: @escaping @Sendable () -> [UInt8],
        mayHold: @escaping @Sendable () -> Bool = { true }
    ) {
        self.presence = presence
        self.leaseKey = leaseKey
        self.leaseValue = leaseValue
        self.mayHold = mayHold
    }
}

/// How a competitor for the lease stands.
package enum LeaseStanding: Hashable, Sendable {
    /// It has the lease.
    ///
    /// The fence is a condition that holds exactly as long as nobody else has had it since: what the holder commits
    /// carries it, so that a holder that slept past its time changes nothing. Nil where nobody else can have it.
    case held(fence: MetadataCondition?)
    /// Another has it, as far as is known.
    case waiting
    /// The store does not answer, with the reason as a sentence; a lease that was held may be another's by now.
    case unreachable(reason: String)

    package var isHeld: Bool {
        if case .held = self { true } else { false }
    }
}
