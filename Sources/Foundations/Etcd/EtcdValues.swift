/// Keys from `first` up to, and without, `end`; never empty keys.
package struct EtcdRange: Hashable, Sendable {
    package let first: [UInt8]
    package let end: [UInt8]

    package init(first: [UInt8], end: [UInt8]) {
        self.first = first
        self.end = end
    }

    /// All keys that begin with these bytes.
    ///
    /// - Precondition: at least one byte, the last below 255.
    package static func prefix(_ prefix: [UInt8]) -> EtcdRange {
        guard let last = prefix.last, last < .max else { preconditionFailure("a prefix without a next one") }
        return EtcdRange(first: prefix, end: prefix.dropLast() + [last + 1])
    }
}

/// One stored value.
package struct EtcdEntry: Hashable, Sendable {
    package var key: [UInt8]
    package var value: [UInt8]
    /// Revision of the change that last put it.
    package var modRevision: Int64
}

package struct EtcdPage: Hashable, Sendable {
    package var entries: [EtcdEntry]
    package var revision: Int64
    /// Whether the range has more entries than the limit.
    package var hasMore: Bool

    package init(entries: [EtcdEntry], revision: Int64, hasMore: Bool) {
        self.entries = entries
        self.revision = revision
        self.hasMore = hasMore
    }
}

/// What must hold for a transaction to change anything.
package enum EtcdCondition: Hashable, Sendable {
    case absent([UInt8])
    /// The key was last put at this revision, and is there.
    case unchanged([UInt8], modRevision: Int64)

    package var key: [UInt8] {
        switch self {
        case .absent(let key), .unchanged(let key, _): key
        }
    }
}

package enum EtcdChange: Hashable, Sendable {
    /// With a lease the key goes when that ends.
    case put([UInt8], [UInt8], lease: Int64?)
    case delete([UInt8])
}

package enum EtcdOutcome: Hashable, Sendable {
    case succeeded(revision: Int64)
    /// A condition did not hold. The entries are those of the conditions' keys, in their order, as they are.
    case failed([EtcdEntry?])
}
