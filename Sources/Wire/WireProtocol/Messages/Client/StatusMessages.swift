package import ClusterModel

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
        package var report: WorkerReport

        package init(
            id: NodeID,
            address: NodeAddress,
            isLive: Bool,
            silentMilliseconds: UInt64,
            report: WorkerReport
        ) {
            self.id = id
            self.address = address
            self.isLive = isLive
            self.silentMilliseconds = silentMilliseconds
            self.report = report
        }
    }

    package var clusterID: NodeID
    package var coordinatorID: NodeID
    package var version: String
    package var uptimeSeconds: UInt64
    package var epoch: Epoch
    /// Of this coordinator.
    package var activity: NodeActivity
    package var workers: [Worker]
    package var collections: [CollectionDescription]

    package init(
        clusterID: NodeID,
        coordinatorID: NodeID,
        version: String,
        uptimeSeconds: UInt64,
        epoch: Epoch,
        activity: NodeActivity = NodeActivity(),
        workers: [Worker],
        collections: [CollectionDescription]
    ) {
        self.clusterID = clusterID
        self.coordinatorID = coordinatorID
        self.version = version
        self.uptimeSeconds = uptimeSeconds
        self.epoch = epoch
        self.activity = activity
        self.workers = workers
        self.collections = collections
    }
}
