/// The etcd cluster that several coordinators share.
package struct EtcdConfiguration: Sendable, Equatable {
    package struct User: Sendable, Equatable {
        package var name: String
        package var password: Password
    }

    /// At least one, all of one scheme.
    package var endpoints: [HTTPEndpoint]
    /// What the keys of this cluster begin with; ends with a slash.
    package var prefix: String
    /// How long the controller may be silent before another coordinator takes its place.
    package var lease: Duration
    package var user: User?
    /// PEM files; who may sign the members' certificates (nil for the system's roots), and the coordinator's own
    /// certificate with its key where members ask for one.
    package var trustRoots: String?
    package var certificate: String?
    package var privateKey: String?

    init(reading configuration: inout LayeredConfiguration) {
        let keys = KeyCatalogue.self
        endpoints = configuration.value(keys.etcdEndpoints)
        prefix = configuration.value(keys.etcdPrefix)
        lease = configuration.value(keys.etcdLease)
        user = Self.user(&configuration)
        trustRoots = configuration.value(keys.etcdTrustRoots)
        certificate = configuration.value(keys.etcdCertificate)
        privateKey = configuration.value(keys.etcdPrivateKey)
        TLSFiles.check(trustRoots, keys.etcdTrustRoots.path, isSecret: false, &configuration)
        TLSFiles.check(certificate, keys.etcdCertificate.path, isSecret: false, &configuration)
        TLSFiles.check(privateKey, keys.etcdPrivateKey.path, isSecret: true, &configuration)
        Self.checkPair(keys.etcdCertificate.path, certificate, keys.etcdPrivateKey.path, privateKey, &configuration)
        for endpoint in endpoints where !endpoint.isSecure && !endpoint.address.isLoopback {
            let path = keys.etcdEndpoints.path
            let reason =
                "\(path): \(endpoint) is beyond this machine, and with http everyone between could read and change "
                + "what the cluster has agreed on; use https"
            configuration.note(.conflictingValues(configuration.place(of: path), reason: reason))
        }
    }

    private static func user(_ configuration: inout LayeredConfiguration) -> User? {
        let userKey = KeyCatalogue.etcdUser.path
        let fileKey = KeyCatalogue.etcdPasswordFile.path
        let name = configuration.value(KeyCatalogue.etcdUser)
        let path = configuration.value(KeyCatalogue.etcdPasswordFile)
        checkPair(userKey, name, fileKey, path, &configuration)
        guard let path else { return nil }
        let place = configuration.place(of: fileKey)
        do throws(RegularFile.Refusal) {
            let file = try RegularFile(path: path)
            guard file.permissions & 0o077 == 0 else {
                let (permissions, command) = (file.permissions, "chmod 600 \(path)")
                configuration.note(
                    .exposedSecretFile(place, key: fileKey, path: path, permissions: permissions, command: command)
                )
                return nil
            }
            var text = try file.text(limitBytes: 4096)
            while let last = text.last, last.isNewline { text.removeLast() }
            guard !text.isEmpty else {
                configuration.note(.unusableFile(place, key: fileKey, path: path, reason: "it holds no password"))
                return nil
            }
            return name.map { User(name: $0, password: Password(text)) }
        } catch {
            configuration.note(.unusableFile(place, key: fileKey, path: path, reason: "\(error)"))
            return nil
        }
    }

    /// Two keys of which one is of no use without the other.
    private static func checkPair(
        _ first: String,
        _ firstValue: String?,
        _ second: String,
        _ secondValue: String?,
        _ configuration: inout LayeredConfiguration
    ) {
        guard (firstValue == nil) != (secondValue == nil) else { return }
        let (given, missing) = firstValue == nil ? (second, first) : (first, second)
        let reason = "\(given) is set but \(missing) is not; both are needed"
        configuration.note(.conflictingValues(configuration.place(of: given), reason: reason))
    }
}
