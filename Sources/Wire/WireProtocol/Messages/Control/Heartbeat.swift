package import ClusterModel

/// Worker → coordinator, at start and then at every heartbeat interval.
package struct Heartbeat: Hashable, Sendable {
    package var worker: NodeID
    package var address: NodeAddress
    /// The cluster the worker's data belongs to; nil for a new worker, which joins the coordinator's.
    package var clusterID: NodeID?
    package var report: WorkerReport
    package var standing: CoordinatorStanding

    package init(
        worker: NodeID,
        address: NodeAddress,
        clusterID: NodeID?,
        report: WorkerReport,
        standing: CoordinatorStanding = .untold
    ) {
        self.worker = worker
        self.address = address
        self.clusterID = clusterID
        self.report = report
        self.standing = standing
    }
}

/// By which coordinator a worker goes, where there can be only one: see ``HeartbeatReply/run``.
package enum CoordinatorStanding: Hashable, Sendable {
    /// The worker does not say: it takes what any coordinator of its cluster tells it.
    case untold
    case none
    case follows(run: NodeID)
    /// It refuses this run, which is the one that it speaks to, since it goes by a coordinator at the address.
    case refuses(run: NodeID, follows: NodeAddress)
}
