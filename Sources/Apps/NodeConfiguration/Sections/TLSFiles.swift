/// The PEM files of a node's TLS identity. That they can be read has been checked; their content has not.
package struct TLSFiles: Sendable, Equatable {
    /// Certificate chain, leaf first.
    package var certificate: String
    package var privateKey: String
    /// Certificates that peers' chains must end in; nil for those of the system.
    package var trustRoots: String?

    /// Nil when TLS is off: neither a certificate nor a key is named.
    static func read(from configuration: inout LayeredConfiguration) -> TLSFiles? {
        let certificate = configuration.value(KeyCatalogue.tlsCertificate)
        let privateKey = configuration.value(KeyCatalogue.tlsPrivateKey)
        let trustRoots = configuration.value(KeyCatalogue.tlsTrustRoots)
        check(certificate, KeyCatalogue.tlsCertificate.path, isSecret: false, &configuration)
        check(privateKey, KeyCatalogue.tlsPrivateKey.path, isSecret: true, &configuration)
        check(trustRoots, KeyCatalogue.tlsTrustRoots.path, isSecret: false, &configuration)
        switch (certificate, privateKey) {
        case (let certificate?, let privateKey?):
            return TLSFiles(certificate: certificate, privateKey: privateKey, trustRoots: trustRoots)
        case (nil, nil):
            return nil
        case (_?, nil), (nil, _?):
            let given = certificate == nil ? KeyCatalogue.tlsPrivateKey.path : KeyCatalogue.tlsCertificate.path
            let missing = certificate == nil ? KeyCatalogue.tlsCertificate.path : KeyCatalogue.tlsPrivateKey.path
            let reason = "\(given) is set but \(missing) is not; TLS needs both"
            configuration.note(.conflictingValues(configuration.place(of: given), reason: reason))
            return nil
        }
    }

    /// A private key may be shared with a group, as Debian's `ssl-cert` does, but not with everyone.
    static func check(
        _ path: String?,
        _ key: String,
        isSecret: Bool,
        _ configuration: inout LayeredConfiguration
    ) {
        guard let path else { return }
        let place = configuration.place(of: key)
        do throws(RegularFile.Refusal) {
            let permissions = try RegularFile(path: path).permissions
            if isSecret, permissions & 0o007 != 0 {
                configuration.note(
                    .exposedSecretFile(
                        place,
                        key: key,
                        path: path,
                        permissions: permissions,
                        command: "chmod o= \(path)"
                    )
                )
            }
        } catch {
            configuration.note(.unusableFile(place, key: key, path: path, reason: "\(error)"))
        }
    }
}
