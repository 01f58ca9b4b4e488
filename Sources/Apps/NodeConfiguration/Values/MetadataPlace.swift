/// Where a coordinator keeps what its cluster has agreed on.
package enum MetadataPlace: String, CaseIterable, Sendable {
    /// In its data folder; the cluster has one coordinator.
    case embedded
    /// In an etcd cluster, with any number of other coordinators.
    case etcd
}
