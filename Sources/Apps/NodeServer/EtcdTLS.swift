import ClusterController
import NodeConfiguration
import Observability
import WireTransport

extension EtcdMetadataStore {
    /// The files by which a coordinator speaks to etcd; nil when there are none.
    func watched(_ etcd: EtcdConfiguration) throws(NodeStartError) -> WatchedTLS? {
        let files = [etcd.trustRoots, etcd.certificate, etcd.privateKey].compactMap(\.self)
        if files.isEmpty { return nil }
        let marks = files.map(FileMark.init(path:))
        // Here for what it knows of certificates.
        let known = try Self.read(etcd)
        return WatchedTLS(
            files: files,
            marks: marks,
            load: { () throws(NodeStartError) in
                let new = try Self.read(etcd)
                do throws(MetadataError) {
                    try self.reloadTLS()
                } catch {
                    throw .metadata(error)
                }
                known.adopt(new)
            },
            expiries: {
                [
                    known.certificateExpiry.map { (LabelValue.etcdCertificate, $0) },
                    known.trustRootsExpiry.map { (LabelValue.etcdTrustRoots, $0) },
                ].compactMap(\.self)
            }
        )
    }

    private static func read(_ etcd: EtcdConfiguration) throws(NodeStartError) -> ClientTLS {
        do throws(TLSError) {
            return try ClientTLS(
                trustRootsFile: etcd.trustRoots,
                certificateFile: etcd.certificate,
                privateKeyFile: etcd.privateKey
            )
        } catch {
            throw .tls(reason: "\(error)")
        }
    }
}
