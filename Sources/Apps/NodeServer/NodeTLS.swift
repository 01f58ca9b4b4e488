package import NodeConfiguration
import Observability
package import WireTransport

/// The two sides of a node's TLS, from the same files, for everything in the process that connects or listens.
package struct NodeTLS: Sendable {
    package let server: ServerTLS
    package let client: ClientTLS
    package let watched: WatchedTLS

    /// Nil when TLS is off.
    ///
    /// - Throws: `NodeStartError.tls`: which file cannot be used, and why.
    package static func load(_ files: TLSFiles?) throws(NodeStartError) -> NodeTLS? {
        guard let files else { return nil }
        let marks = files.all.map(FileMark.init(path:))
        let (server, client) = try Self.read(files)
        return NodeTLS(
            server: server,
            client: client,
            watched: WatchedTLS(
                files: files.all,
                marks: marks,
                load: { () throws(NodeStartError) in
                    let (newServer, newClient) = try Self.read(files)
                    server.adopt(newServer)
                    client.adopt(newClient)
                },
                expiries: {
                    [(LabelValue.certificate, server.expiry)]
                        + (client.trustRootsExpiry.map { [(LabelValue.trustRoots, $0)] } ?? [])
                }
            )
        )
    }

    private static func read(_ files: TLSFiles) throws(NodeStartError) -> (ServerTLS, ClientTLS) {
        do throws(TLSError) {
            return (
                try ServerTLS(certificateFile: files.certificate, privateKeyFile: files.privateKey),
                try ClientTLS(trustRootsFile: files.trustRoots)
            )
        } catch {
            throw .tls(reason: "\(error)")
        }
    }
}

extension TLSFiles {
    /// All that a node reads.
    fileprivate var all: [String] { [certificate, privateKey] + (trustRoots.map { [$0] } ?? []) }
}
