package import FaceModel

/// A process's identity, kept in its data folder for life; addresses are mutable metadata.
package struct NodeID: Hashable, Comparable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init?(_ text: some StringProtocol) {
        guard let value = UUIDText.parse(text) else { return nil }
        self.init(high: value.high, low: value.low)
    }

    package static func random() -> NodeID {
        let value = UUIDText.random()
        return NodeID(high: value.high, low: value.low)
    }

    package static func < (left: NodeID, right: NodeID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension NodeID: CustomStringConvertible {
    package var description: String { UUIDText.format(high: high, low: low) }
}

/// One operation, of all that a cluster ever had.
package struct OperationID: Hashable, Comparable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package init?(_ text: some StringProtocol) {
        guard let value = UUIDText.parse(text) else { return nil }
        self.init(high: value.high, low: value.low)
    }

    package static func random() -> OperationID {
        let value = UUIDText.random()
        return OperationID(high: value.high, low: value.low)
    }

    package static func < (left: OperationID, right: OperationID) -> Bool {
        (left.high, left.low) < (right.high, right.low)
    }
}

extension OperationID: CustomStringConvertible {
    package var description: String { UUIDText.format(high: high, low: low) }
}

/// The snapshots that one backup is made from, one of each shard.
package struct SnapshotID: Hashable, Sendable {
    package let high: UInt64
    package let low: UInt64

    package init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    package static func random() -> SnapshotID {
        let value = UUIDText.random()
        return SnapshotID(high: value.high, low: value.low)
    }
}

extension SnapshotID: CustomStringConvertible {
    package var description: String { UUIDText.format(high: high, low: low) }
}

/// One shard: a hash range of one collection.
package struct ShardID: Hashable, Comparable, Sendable {
    package let collection: CollectionID
    /// Number of the shard in its collection; never used again within it.
    package let index: UInt32

    package init(collection: CollectionID, index: UInt32) {
        self.collection = collection
        self.index = index
    }

    package static func < (left: ShardID, right: ShardID) -> Bool {
        (left.collection, left.index) < (right.collection, right.index)
    }
}

extension ShardID: CustomStringConvertible {
    package var description: String { "\(collection)/\(index)" }
}

/// Version of the shard map, only ever rising.
package struct Epoch: Hashable, Comparable, Sendable {
    package let number: UInt64

    /// The highest that is believed of an epoch, and of a version of a group, that comes from a disk or a network:
    /// nobody has counted so far, and there is room behind it for whatever follows.
    package static let numberLimit: UInt64 = 1 << 62

    /// By how much an operator who gives up what other replicas have raises the epoch of a shard's group: a change of
    /// the primary raises it by one.
    package static let leap: UInt64 = 1 << 20

    package init(_ number: UInt64) {
        self.number = number
    }

    /// Whether an operator has decreed how the shard goes on since its group was of an earlier epoch.
    package func isDecreed(since earlier: Epoch) -> Bool {
        number >= earlier.number && number - earlier.number >= Self.leap
    }

    package static func < (left: Epoch, right: Epoch) -> Bool { left.number < right.number }
}

/// Where a node listens.
package struct NodeAddress: Hashable, Sendable {
    package let host: String
    package let port: Int

    package init(host: String, port: Int) {
        self.host = host
        self.port = port
    }
}

extension NodeAddress: CustomStringConvertible {
    package var description: String { host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// Reads `host:port` or `[ipv6]:port`; nil for anything else.
    package init?(_ text: some StringProtocol) {
        guard let colon = text.lastIndex(of: ":"), let port = Int(text[text.index(after: colon)...]),
            (0...65535).contains(port)
        else { return nil }
        var host = String(text[..<colon])
        if host.hasPrefix("["), host.hasSuffix("]") {
            host = String(host.dropFirst().dropLast())
        } else if host.contains(":") {
            return nil
        }
        guard !host.isEmpty else { return nil }
        self.init(host: host, port: port)
    }
}
