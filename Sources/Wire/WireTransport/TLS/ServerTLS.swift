package import NIOSSL
import Synchronization

/// What an accepting side needs to speak TLS: loaded and checked as a whole, and replaced as a whole.
package final class ServerTLS: Sendable {
    private struct Loaded {
        var context: NIOSSLContext
        var expiry: CertificateExpiry
    }

    private let loaded: Mutex<Loaded>

    /// - Parameters:
    ///   - certificateFile: PEM: the node's certificate, then any intermediate ones.
    ///   - privateKeyFile: PEM: the key of the first certificate, without a passphrase.
    ///   - clientTrustRootsFile: PEM: who may sign the callers' certificates; nil asks callers for none.
    /// - Throws: which file cannot be used, and why.
    package init(
        certificateFile: String,
        privateKeyFile: String,
        clientTrustRootsFile: String? = nil
    ) throws(TLSError) {
        let chain = try TLSFiles.certificates(certificateFile)
        let key = try TLSFiles.privateKey(privateKeyFile)
        var configuration = TLSConfiguration.makeServerConfiguration(
            certificateChain: chain.map { .certificate($0) },
            privateKey: key
        )
        configuration.minimumTLSVersion = .tlsv12
        if let clientTrustRootsFile {
            configuration.trustRoots = .certificates(try TLSFiles.certificates(clientTrustRootsFile))
            configuration.certificateVerification = .noHostnameVerification
        }
        let context: NIOSSLContext
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .keyMismatch(certificateFile: certificateFile, privateKeyFile: privateKeyFile)
        }
        loaded = Mutex(Loaded(context: context, expiry: CertificateExpiry(file: certificateFile, of: chain)))
    }

    /// For one connection that begins now.
    package var context: NIOSSLContext { loaded.withLock { $0.context } }

    /// Until when the certificate, and those that it is signed by in the same file, are good.
    package var expiry: CertificateExpiry { loaded.withLock { $0.expiry } }

    /// Connections that begin from now on are made with what another was loaded from; those that stand go on.
    package func adopt(_ other: ServerTLS) {
        let new = other.loaded.withLock { $0 }
        loaded.withLock { $0 = new }
    }
}
