import FaceModel
import WireProtocol

extension MienClient {
    /// Creates a collection; it is empty and answers searches at once.
    ///
    /// - Throws: `alreadyExists`, `invalidRequest`.
    public func createCollection(_ options: CollectionOptions) async throws(MienClientError) -> CollectionInfo {
        let outcome = await caller.callCounting(CreateCollection(configuration: options.model))
        if case .failure(let status) = outcome.result, status.code == .alreadyExists, outcome.mayHaveBeenDone {
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
        let index = try ShardNumber.wire(shard)
        let request = VerifyShard(collection: collection, shardIndex: index, repairs: repairs)
        return ShardVerification(try await caller.call(request), shardIndex: shard)
    }

    /// Deletes a collection and all its faces.
    ///
    /// Another collection that gets the name meanwhile is left alone.
    ///
    /// - Parameter id: the ``CollectionInfo/id`` of the collection that is meant; nil for that which has the name
    ///   now, as the coordinator knows that is asked: one made anew moments ago may be `notFound` then.
    /// - Returns: how many faces it held as last known, and which workers may have a part of it yet.
    /// - Throws: `notFound`, also when the name is another collection's than the one that is meant;
    ///   `incompatibleVersion` where all coordinators are of an earlier version, which would go by the name alone.
    @discardableResult
    public func deleteCollection(
        _ name: String,
        id: String? = nil
    ) async throws(MienClientError) -> CollectionDeletion {
        let meant: CollectionID
        if let id {
            guard let known = CollectionID(id) else {
                throw .withoutEffect(.notFound, "'\(id.prefix(64))' is no collection's identity.")
            }
            meant = known
        } else {
            meant = try await caller.call(DescribeCollection(name: name)).collection.id
        }
        let outcome = await caller.callCounting(DeleteCollection(name: name, id: meant))
        if case .failure(let status) = outcome.result, status.code == .notFound, outcome.mayHaveBeenDone {
            return .earlier
        }
        return CollectionDeletion(try outcome.get())
    }
}
