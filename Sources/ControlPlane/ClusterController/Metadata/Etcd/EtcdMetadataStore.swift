package import Etcd
package import NIOCore
import Synchronization

/// The metadata store of a cluster with several coordinators: a prefix of an etcd cluster.
///
/// Records lie under `<prefix><key>`; revisions and versions are etcd's, which rise with commits of anyone. Reads are
/// linearizable.
package final class EtcdMetadataStore: MetadataStore {
    /// Records of one answer of a listing.
    private static let pageLimit = 128

    let client: EtcdClient
    let leaseTime: Duration
    private let prefix: [UInt8]
    private let isClosed = Atomic(false)

    /// Opens the store, and makes sure that the other side understands conditions.
    ///
    /// - Parameters:
    ///   - prefix: of every key, not empty; what tells the clusters of one etcd apart.
    ///   - leaseTime: how long a holder may be silent before another may have its lease; at least two seconds, rounded
    ///     up to whole ones.
    /// - Throws: `unusable` when a file of the TLS identity cannot be used; `unavailable` when etcd does not answer,
    ///   refuses, or is something else.
    package static func open(
        _ options: EtcdOptions,
        prefix: String,
        leaseTime: Duration,
        group: any EventLoopGroup
    ) async throws(MetadataError) -> EtcdMetadataStore {
        let store: EtcdMetadataStore
        do throws(EtcdError) {
            store = EtcdMetadataStore(try EtcdClient(options, group: group), prefix: prefix, leaseTime: leaseTime)
        } catch {
            throw .unusable(reason: "\(error)")
        }
        do throws(MetadataError) {
            try await store.probe()
        } catch {
            await store.close()
            throw error
        }
        return store
    }

    private init(_ client: EtcdClient, prefix: String, leaseTime: Duration) {
        precondition(!prefix.isEmpty, "a cluster's records need a prefix of their own")
        self.client = client
        self.prefix = Array(prefix.utf8)
        let (seconds, rest) = leaseTime.components
        self.leaseTime = .seconds(max(2, seconds + (rest > 0 ? 1 : 0)))
    }

    /// Reads the TLS files again, for connections that begin from now on.
    ///
    /// - Throws: `unusable`: which file cannot be used; then those before stay in use.
    package func reloadTLS() throws(MetadataError) {
        do throws(EtcdError) {
            try client.reloadTLS()
        } catch {
            throw .unusable(reason: "\(error)")
        }
    }

    package func close() async {
        guard !isClosed.exchange(true, ordering: .relaxed) else { return }
        await client.close()
    }

    /// The gateway passes over names of fields that it does not know, and would take a condition that it does not
    /// understand for none: one that cannot hold has to fail.
    private func probe() async throws(MetadataError) {
        let key = storedKey("probe")
        let outcome: EtcdOutcome
        do throws(EtcdError) {
            outcome = try await client.commit([.unchanged(key, modRevision: .max)], [.delete(key)])
        } catch {
            throw Self.unread(error)
        }
        guard outcome == .failed([nil]) else {
            throw .unavailable(reason: "What answers at the endpoints of etcd does not keep to conditions.")
        }
    }

    // MARK: Records

    package func read(_ key: String) async throws(MetadataError) -> MetadataRecord? {
        let entry: EtcdEntry?
        do throws(EtcdError) {
            entry = try await client.entry(storedKey(key))
        } catch {
            throw Self.unread(error)
        }
        return try entry.map(record)?.get()
    }

    package func list(prefix: String) async throws(MetadataError) -> MetadataListing {
        // History may be compacted between two pages; then the listing begins again.
        for _ in 0..<4 {
            let result: Result<MetadataListing, MetadataError>
            do throws(EtcdError) {
                result = try await listing(.prefix(storedKey(prefix)))
            } catch .compacted {
                continue
            } catch {
                throw Self.unread(error)
            }
            return try result.get()
        }
        throw .unavailable(reason: "etcd compacts its history faster than it can be read.")
    }

    private func listing(_ range: EtcdRange) async throws(EtcdError) -> Result<MetadataListing, MetadataError> {
        var listing = MetadataListing(records: [], revision: MetadataRevision(0))
        var first = range.first
        var revision: Int64?
        while true {
            let page = try await client.entries(
                in: EtcdRange(first: first, end: range.end),
                limit: Self.pageLimit,
                asOf: revision
            )
            for entry in page.entries {
                switch record(entry) {
                case .success(let record): listing.records.append(record)
                case .failure(let error): return .failure(error)
                }
            }
            if revision == nil { listing.revision = MetadataRevision(UInt64(page.revision)) }
            revision = revision ?? page.revision
            guard page.hasMore, let last = page.entries.last else { return .success(listing) }
            // The least key that is greater.
            first = last.key + [0]
        }
    }

    @discardableResult
    package func commit(
        _ conditions: [MetadataCondition],
        _ changes: [MetadataChange]
    ) async throws(MetadataError) -> MetadataRevision {
        try Self.check(conditions, changes)
        let outcome: EtcdOutcome
        do throws(EtcdError) {
            outcome = try await client.commit(
                conditions.map(stored),
                changes.map { change in
                    switch change {
                    case .put(let key, let value):
                        .put(storedKey(key), SealedValue.seal(key: key, value), lease: nil)
                    case .remove(let key): .delete(storedKey(key))
                    }
                }
            )
        } catch {
            throw Self.uncommitted(error)
        }
        switch outcome {
        case .succeeded(let revision): return MetadataRevision(UInt64(revision))
        case .failed(let entries):
            // By now it may hold again, if it changed back meanwhile; then the first is as good as another.
            let broken = zip(conditions, entries).first { condition, entry in
                switch condition {
                case .absent: entry != nil
                case .unchanged(_, let version): entry.map { UInt64($0.modRevision) } != version.number
                }
            }
            throw .conflict(key: (broken?.0 ?? conditions[0]).key)
        }
    }

    package func revisions() -> AsyncStream<MetadataRevision> {
        AsyncStream(bufferingPolicy: .bufferingNewest(1)) { continuation in
            let task = Task { await follow { continuation.yield($0) } }
            continuation.onTermination = { _ in task.cancel() }
        }
    }

    /// Watches all records until cancelled, through any loss of the connection; gaps are closed by the newest revision.
    func follow(_ heard: @escaping @Sendable (MetadataRevision) -> Void) async {
        let next = Mutex<Int64?>(nil)
        var pause = Duration.milliseconds(50)
        while !Task.isCancelled, !isClosed.load(ordering: .relaxed) {
            let begin = ContinuousClock.now
            do throws(EtcdError) {
                try await client.watch(.prefix(prefix), from: next.withLock(\.self)) { revision in
                    next.withLock { $0 = revision + 1 }
                    heard(MetadataRevision(UInt64(revision)))
                }
            } catch .compacted(let revision) {
                next.withLock { $0 = revision }
                heard(MetadataRevision(UInt64(max(revision, 0))))
            } catch {
                // The competition for the lease, which asks all the time, tells of an etcd that is away.
            }
            pause = ContinuousClock.now - begin > .seconds(5) ? .milliseconds(50) : min(pause * 2, .seconds(1))
            try? await Task.sleep(for: pause)
        }
    }

    // MARK: Forms

    func storedKey(_ key: String) -> [UInt8] { prefix + key.utf8 }

    private func stored(_ condition: MetadataCondition) -> EtcdCondition {
        switch condition {
        case .absent(let key): .absent(storedKey(key))
        case .unchanged(let key, let version):
            .unchanged(storedKey(key), modRevision: Int64(clamping: version.number))
        }
    }

    private func record(_ entry: EtcdEntry) -> Result<MetadataRecord, MetadataError> {
        guard entry.key.starts(with: prefix), entry.modRevision > 0,
            let key = String(validating: entry.key.dropFirst(prefix.count), as: UTF8.self)
        else { return .failure(.corrupt(key: "?", reason: "its key or its version is none of this store")) }
        return Result { () throws(MetadataError) in
            MetadataRecord(
                key: key,
                value: try SealedValue.open(key: key, entry.value),
                version: MetadataRevision(UInt64(entry.modRevision))
            )
        }
    }

    /// What a failed read is to callers.
    private static func unread(_ error: EtcdError) -> MetadataError { .unavailable(reason: "\(error).") }

    /// What a failed commit is to callers.
    private static func uncommitted(_ error: EtcdError) -> MetadataError {
        switch error {
        case .outcomeUnknown, .malformed: .outcomeUnknown(reason: "\(error).")
        case .unavailable, .refused, .compacted, .tls: .unavailable(reason: "\(error).")
        }
    }
}
