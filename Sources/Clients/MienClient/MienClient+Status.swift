import WireProtocol

extension MienClient {
    /// The cluster as its coordinator sees it now.
    public func status() async throws(MienClientError) -> ClusterInfo {
        ClusterInfo(try await caller.call(GetClusterStatus()))
    }
}
