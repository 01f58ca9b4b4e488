import NIOSSL

/// What a calling side needs to speak TLS: loaded and checked once.
package struct ClientTLS: Sendable {
    let context: NIOSSLContext
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
        if let trustRootsFile { configuration.trustRoots = try TLSFiles.trustRoots(trustRootsFile) }
        if let certificateFile { configuration.certificateChain = try TLSFiles.certificateChain(certificateFile) }
        if let privateKeyFile { configuration.privateKey = try TLSFiles.privateKey(privateKeyFile) }
        do {
            context = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .keyMismatch(
                certificateFile: certificateFile ?? trustRootsFile ?? "the system's trust roots",
                privateKeyFile: privateKeyFile ?? "none"
            )
        }
    }
}
