package import ClusterModel
package import FaceModel

package struct GetClusterStatus: Hashable, Sendable {
    package init() {}
}

package struct ClusterStatus: Hashable, Sendable {
    package struct Worker: Hashable, Sendable {
        package var id: NodeID
        package var address: NodeAddress
        package var isLive: Bool
        /// Time since its last heartbeat; `.max` when it was never heard of.
        package var silentMilliseconds: UInt64
        package var standing: WorkerStanding
        package var report: WorkerReport

        package init(
            id: NodeID,
            address: NodeAddress,
            isLive: Bool,
            silentMilliseconds: UInt64,
            standing: WorkerStanding = .active,
            report: WorkerReport
        ) {
            self.id = id
            self.address = address
            self.isLive = isLive
            self.silentMilliseconds = silentMilliseconds
            self.standing = standing
            self.report = report
        }
    }

    /// A coordinator that is there.
    package struct Coordinator: Hashable, Sendable {
        package var id: NodeID
        package var address: NodeAddress
        /// Since when it is the controller, by its own clock; nil when it is not.
        package var controllerSince: Timestamp?

        package init(id: NodeID, address: NodeAddress, controllerSince: Timestamp?) {
            self.id = id
            self.address = address
            self.controllerSince = controllerSince
        }
    }

    package var clusterID: NodeID
    package var coordinatorID: NodeID
    package var version: String
    package var uptimeSeconds: UInt64
    package var epoch: Epoch
    /// Of this coordinator.
    package var activity: NodeActivity
    /// As far as this coordinator's records tell.
    package var coordinators: [Coordinator]
    /// Why this coordinator cannot change what was agreed on now, as a sentence; nil when it can.
    package var storeProblem: String?
    package var workers: [Worker]
    package var collections: [CollectionDescription]
    /// Whether faces of each collection were given up and have not come back; as many as collections.
    package var losses: [Bool]
    /// Rows that searches compare on each worker in a second, averaged as replicas are placed by it; as many as
    /// workers.
    package var comparedRowRates: [Double]
    /// Why each worker is silent, as far as this coordinator has found out by calling it; as many as workers.
    package var silenceCauses: [SilenceCause]
    /// Shards whose replicas in sync do not hold the same, by their last checkpoints; ascending in each collection.
    package var differentShards: [ShardID]

    package init(
        clusterID: NodeID,
        coordinatorID: NodeID,
        version: String,
        uptimeSeconds: UInt64,
        epoch: Epoch,
        activity: NodeActivity = NodeActivity(),
        coordinators: [Coordinator] = [],
        storeProblem: String? = nil,
        workers: [Worker],
        collections: [CollectionDescription],
        losses: [Bool]? = nil,
        comparedRowRates: [Double]? = nil,
        silenceCauses: [SilenceCause]? = nil,
        differentShards: [ShardID] = []
    ) {
        self.clusterID = clusterID
        self.coordinatorID = coordinatorID
        self.version = version
        self.uptimeSeconds = uptimeSeconds
        self.epoch = epoch
        self.activity = activity
        self.coordinators = coordinators
        self.storeProblem = storeProblem
        self.workers = workers
        self.collections = collections
        self.losses = losses ?? collections.map { _ in false }
        self.comparedRowRates = comparedRowRates ?? workers.map { _ in 0 }
        self.silenceCauses = silenceCauses ?? workers.map { _ in .unknown }
        self.differentShards = differentShards
        precondition(self.losses.count == collections.count, "each collection has a mark")
        precondition(self.comparedRowRates.count == workers.count, "each worker has a rate")
        precondition(self.silenceCauses.count == workers.count, "each worker has a cause")
    }
}
