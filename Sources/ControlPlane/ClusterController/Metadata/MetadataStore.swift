/// Number of a commit of a metadata store, only ever rising. 0: before the first.
package struct MetadataRevision: Hashable, Comparable, Sendable {
    package let number: UInt64

    package init(_ number: UInt64) {
        self.number = number
    }

    package static func < (left: MetadataRevision, right: MetadataRevision) -> Bool { left.number < right.number }
}

/// One record as it was read.
package struct MetadataRecord: Hashable, Sendable {
    package var key: String
    package var value: [UInt8]
    /// Revision of the commit that last put it.
    package var version: MetadataRevision

    package init(key: String, value: [UInt8], version: MetadataRevision) {
        self.key = key
        self.value = value
        self.version = version
    }
}

/// What must hold for a commit to happen.
package enum MetadataCondition: Hashable, Sendable {
    case absent(key: String)
    /// The record is there, and nobody has put it since.
    case unchanged(key: String, version: MetadataRevision)

    package var key: String {
        switch self {
        case .absent(let key), .unchanged(let key, _): key
        }
    }
}

package enum MetadataChange: Hashable, Sendable {
    case put(key: String, value: [UInt8])
    /// Removing what is absent changes nothing and is no error.
    case remove(key: String)

    package var key: String {
        switch self {
        case .put(let key, _), .remove(let key): key
        }
    }
}

/// What the cluster agrees on: a small, ordered, durable map of records with compare-and-swap.
///
/// Commits are atomic, durable when they return, and linearizable: every read that begins after a commit returned sees
/// it.
/// Keys are 1–511 bytes of UTF-8 in byte order; the values of one commit have at most ``valueByteLimit`` bytes
/// together.
/// A commit has at most ``commitLimit`` conditions and as many changes, and changes no key twice (preconditions).
package protocol MetadataStore: Sendable {
    func read(_ key: String) async throws(MetadataError) -> MetadataRecord?

    /// All records whose keys begin with the prefix, in order of key, as of one revision.
    func list(prefix: String) async throws(MetadataError) -> MetadataListing

    /// Applies all changes when all conditions hold, else none.
    ///
    /// - Throws: `conflict` when a condition does not hold; `outcomeUnknown` when the changes may or may not be there.
    @discardableResult
    func commit(
        _ conditions: [MetadataCondition],
        _ changes: [MetadataChange]
    ) async throws(MetadataError) -> MetadataRevision

    /// Revisions of commits from now on, by anyone. A slow reader sees the newest and may miss ones between.
    func revisions() -> AsyncStream<MetadataRevision>

    /// Competes for the lease that one node at a time has, until the task is cancelled. While the candidate may not
    /// hold it, it gives up one that it has and waits, unless nobody else can have it.
    ///
    /// What a competitor writes into the store ends with it: at once when it is cancelled, within the lease's time when
    /// it dies.
    ///
    /// - Parameter stand: gets the first standing, and every other one after a change.
    func compete(as candidate: LeaseCandidate, _ stand: @escaping @Sendable (LeaseStanding) -> Void) async

    /// Whether nobody but this object commits to the store, so that what was read once holds until it does.
    var isExclusive: Bool { get }

    /// Ends the use of the store. Calls afterwards throw `unavailable`.
    func close() async
}

extension MetadataStore {
    package var isExclusive: Bool { false }

    /// The least that any store takes (etcd's default is 1.5 MiB a request).
    package static var valueByteLimit: Int { 1 << 20 }
    /// etcd's default is 128.
    package static var commitLimit: Int { 100 }

    /// What every store asks of a commit before it begins.
    static func check(_ conditions: [MetadataCondition], _ changes: [MetadataChange]) throws(MetadataError) {
        precondition(Set(changes.map(\.key)).count == changes.count, "a commit changes a key once")
        precondition(
            max(conditions.count, changes.count) <= commitLimit,
            "a commit of more than \(commitLimit) changes"
        )
        var byteCount = 0
        for case .put(let key, let value) in changes {
            byteCount += value.count
            guard byteCount <= valueByteLimit else {
                throw .valueTooLong(key: key, byteCount: byteCount, limit: valueByteLimit)
            }
        }
    }
}

package struct MetadataListing: Hashable, Sendable {
    package var records: [MetadataRecord]
    /// Newest commit that the records reflect.
    package var revision: MetadataRevision

    package init(records: [MetadataRecord], revision: MetadataRevision) {
        self.records = records
        self.revision = revision
    }
}
