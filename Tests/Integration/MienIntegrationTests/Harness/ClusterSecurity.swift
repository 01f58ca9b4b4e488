import Foundation

/// TLS and a token for a cluster, with copies of the test certificates on its stage.
struct ClusterSecurity {
    let token = "story-token-0123456789"
    let tokenFile: String
    let certificate: String
    let privateKey: String
    /// Has signed the certificate.
    let trustRoots: String
    /// Has signed nothing.
    let otherTrustRoots: String

    /// - Parameters:
    ///   - certificateName: of a certificate of `node.key` among those of the tests.
    ///   - authorityName: of the one that has signed it.
    init(_ stage: Stage, certificate certificateName: String = "node.pem", authority: String = "authority.pem") throws {
        func copy(_ name: String, mode: mode_t = 0o644) throws -> String {
            try stage.write(name, try Self.certificate(name), mode: mode)
        }
        tokenFile = try stage.write("token", token + "\n", mode: 0o600)
        certificate = try copy(certificateName)
        privateKey = try copy("node.key", mode: 0o600)
        trustRoots = try copy(authority)
        otherTrustRoots = try copy("other-authority.pem")
    }

    /// One of the certificates of the tests of TLS, as it lies in their folder.
    static func certificate(_ name: String) throws -> Data {
        let folder = URL(filePath: #filePath).appending(path: "../../../../Wire/WireTransportTests/Certificates")
            .standardizedFileURL
        return try Data(contentsOf: folder.appending(path: name))
    }

    /// For `--set` of a node.
    var nodeSettings: [String] {
        [
            "token_file=\(tokenFile)", "tls.certificate=\(certificate)", "tls.private_key=\(privateKey)",
            "tls.trust_roots=\(trustRoots)",
        ]
    }

    /// For commands.
    var commandOptions: [String] { ["--token-file", tokenFile, "--tls-trust", trustRoots] }
}
