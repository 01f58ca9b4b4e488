package import NIOSSL

/// What an accepting side needs to speak TLS: loaded and checked once, at start.
package struct ServerTLS: Sendable {
    package let context: NIOSSLContext

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
        let chain = try TLSFiles.certificateChain(certificateFile)
        let key = try TLSFiles.privateKey(privateKeyFile)
        var configuration = TLSConfiguration.makeServerConfiguration(certificateChain: chain, privateKey: key)
        configuration.minimumTLSVersion = .tlsv12
        if let clientTrustRootsFile {
            configuration.trustRoots = try TLSFiles.trustRoots(clientTrustRootsFile)
            configuration.certificateVerification = .noHostnameVerification
        }
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .keyMismatch(certificateFile: certificateFile, privateKeyFile: privateKeyFile)
        }
    }
}
