/// The rule that nothing is opened to a network, and no secret sent over one, without protection.
enum ListenerPolicy {
    /// Notes a problem when `listen` is beyond loopback without both TLS and a token, or stands for every interface
    /// while `advertise` does not say where peers find the node.
    static func check(
        listen: NetworkAddress,
        key: String,
        advertise: NetworkAddress?,
        advertiseKey: String,
        isProtectedBy protection: (tls: TLSFiles?, token: AccessToken?),
        _ configuration: inout LayeredConfiguration
    ) {
        let place = configuration.place(of: key)
        if listen.isWildcard, advertise == nil {
            configuration.note(.missingAdvertise(place, key: advertiseKey, address: "\(listen)"))
        }
        guard !listen.isLoopback else { return }
        let missing = (protection.tls == nil ? ["TLS"] : []) + (protection.token == nil ? ["a token"] : [])
        guard !missing.isEmpty else { return }
        configuration.note(.unprotectedListener(place, key: key, address: "\(listen)", missing: missing))
    }

    /// Notes a problem for each of the nodes that this one connects to and would send its token in clear.
    static func check(
        peers: [NetworkAddress],
        key: String,
        isProtectedBy protection: (tls: TLSFiles?, token: AccessToken?),
        _ configuration: inout LayeredConfiguration
    ) {
        guard protection.tls == nil, protection.token != nil else { return }
        for peer in peers where !peer.isLoopback {
            let reason =
                "\(key): \(peer) is beyond this machine, and without TLS everyone between could read the token; set "
                + "tls.certificate and tls.private_key"
            configuration.note(.conflictingValues(configuration.place(of: key), reason: reason))
        }
    }
}
