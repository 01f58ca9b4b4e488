import NodeConfiguration
import WireTransport

/// The two sides of a node's TLS, from the same files.
struct NodeTLS: Sendable {
    let server: ServerTLS
    let client: ClientTLS

    /// Nil when TLS is off.
    static func load(_ files: TLSFiles?) throws -> NodeTLS? {
        guard let files else { return nil }
        do throws(TLSError) {
            return NodeTLS(
                server: try ServerTLS(certificateFile: files.certificate, privateKeyFile: files.privateKey),
                client: try ClientTLS(trustRootsFile: files.trustRoots)
            )
        } catch {
            throw NodeStartError.tls(reason: "\(error)")
        }
    }
}
