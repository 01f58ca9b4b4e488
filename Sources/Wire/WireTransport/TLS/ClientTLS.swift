import NIOSSL
import Synchronization

/// What a calling side needs to speak TLS: loaded and checked as a whole, and replaced as a whole.
package final class ClientTLS: Sendable {
    private struct Loaded {
        var context: NIOSSLContext
        var trustRootsExpiry: CertificateExpiry?
        var certificateExpiry: CertificateExpiry?
    }

    private let loaded: Mutex<Loaded>
    /// To name it when a server is not trusted.
    let trustRootsFile: String?

    /// - Parameters:
    ///   - trustRootsFile: PEM: who may sign the servers' certificates; nil for the system's roots.
    ///   - certificateFile: PEM: the caller's own certificate, where servers ask for one.
    ///   - privateKeyFile: PEM: its key.
    /// - Throws: which file cannot be used, and why.
    package init(
        trustRootsFile: String? = nil,
        certificateFile: String? = nil,
        privateKeyFile: String? = nil
    ) throws(TLSError) {
        self.trustRootsFile = trustRootsFile
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        var trustRootsExpiry: CertificateExpiry?
        var certificateExpiry: CertificateExpiry?
        if let trustRootsFile {
            let roots = try TLSFiles.certificates(trustRootsFile)
            configuration.trustRoots = .certificates(roots)
            trustRootsExpiry = CertificateExpiry(file: trustRootsFile, of: roots)
        }
        if let certificateFile {
            let chain = try TLSFiles.certificates(certificateFile)
            configuration.certificateChain = chain.map { .certificate($0) }
            certificateExpiry = CertificateExpiry(file: certificateFile, of: chain)
        }
        if let privateKeyFile { configuration.privateKey = try TLSFiles.privateKey(privateKeyFile) }
        let context: NIOSSLContext
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .keyMismatch(
                certificateFile: certificateFile ?? trustRootsFile ?? "the system's trust roots",
                privateKeyFile: privateKeyFile ?? "none"
            )
        }
        loaded = Mutex(
            Loaded(context: context, trustRootsExpiry: trustRootsExpiry, certificateExpiry: certificateExpiry)
        )
    }

    /// For one connection that begins now.
    var context: NIOSSLContext { loaded.withLock { $0.context } }

    /// Until when all of the trusted authorities are good; nil for the system's roots.
    package var trustRootsExpiry: CertificateExpiry? { loaded.withLock { $0.trustRootsExpiry } }

    /// Until when the caller's own certificate is good; nil when it has none.
    package var certificateExpiry: CertificateExpiry? { loaded.withLock { $0.certificateExpiry } }

    /// Connections that begin from now on are made with what another was loaded from; those that stand go on.
    package func adopt(_ other: ClientTLS) {
        let new = other.loaded.withLock { $0 }
        loaded.withLock { $0 = new }
    }
}
