import WireProtocol

extension MienClient {
    /// Creates a collection; it is empty and answers searches at once.
    ///
    /// - Throws: `alreadyExists`, `invalidRequest`.
    public func createCollection(_ options: CollectionOptions) async throws(MienClientError) -> CollectionInfo {
        let outcome = await caller.callCounting(CreateCollection(configuration: options.model))
        if case .failure(let status) = outcome.result, status.code == .alreadyExists, outcome.sendCount > 1 {
            // The answer to an earlier sending may have been lost on its way.
            let existing = try await describe(options.name)
            if existing.options == options { return existing }
        }
        return CollectionInfo(try outcome.get())
    }

    /// Every collection of the cluster, by name.
    public func collections() async throws(MienClientError) -> [CollectionInfo] {
        try await caller.call(ListCollections()).collections.map(CollectionInfo.init).sorted {
            $0.options.name < $1.options.name
        }
    }

    /// - Throws: `notFound`.
    public func describe(_ collection: String) async throws(MienClientError) -> CollectionInfo {
        CollectionInfo(try await caller.call(DescribeCollection(name: collection)))
    }

    /// Reads every replica of a shard, verifies all checksums, and compares the replicas. Takes about a second for each
    /// GB: give the client a timeout that fits.
    ///
    /// - Parameter repairs: whether replicas that are not good are replaced by copies of good ones; that goes on after
    ///   the answer.
    /// - Throws: `notFound`, `invalidRequest` for a shard that is not there.
    public func verify(
        _ collection: String,
        shard: Int,
        repairs: Bool = false
    ) async throws(MienClientError) -> ShardVerification {
        let request = VerifyShard(collection: collection, shardIndex: UInt32(clamping: shard), repairs: repairs)
        return ShardVerification(try await caller.call(request), shardIndex: shard)
    }

    /// Deletes a collection and all its faces.
    ///
    /// - Returns: how many faces it held as last known; nil when an earlier, unanswered try had deleted it.
    /// - Throws: `notFound`.
    @discardableResult
    public func deleteCollection(_ name: String) async throws(MienClientError) -> UInt64? {
        let outcome = await caller.callCounting(DeleteCollection(name: name))
        if case .failure(let status) = outcome.result, status.code == .notFound, outcome.sendCount > 1 { return nil }
        return try outcome.get().faceCount
    }
}
