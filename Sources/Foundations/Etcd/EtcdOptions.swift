/// Where etcd is, and how to speak to it.
package struct EtcdOptions: Sendable {
    /// URLs of the members without a path, such as `http://127.0.0.1:2379`; at least one. Asked in turn.
    package var endpoints: [String]
    package var user: User?
    /// PEM files for `https` endpoints.
    package var tls: TLS
    /// Time that one member has to answer before the next is asked.
    package var attemptTimeout: Duration
    /// A watch that hears nothing for so long is made again, at the next member.
    package var watchSilence: Duration

    package struct User: Sendable {
        package var name: String
        package var password: String

        package init(name: String, password: String) {
            self.name = name
            self.password = password
        }
    }

    package struct TLS: Sendable, Equatable {
        /// Who may sign the members' certificates; nil for the system's roots.
        package var trustRoots: String?
        /// The client's own certificate and its key, where members ask for one.
        package var certificate: String?
        package var privateKey: String?

        package init(trustRoots: String? = nil, certificate: String? = nil, privateKey: String? = nil) {
            self.trustRoots = trustRoots
            self.certificate = certificate
            self.privateKey = privateKey
        }
    }

    package init(
        endpoints: [String],
        user: User? = nil,
        tls: TLS = TLS(),
        attemptTimeout: Duration = .seconds(2),
        watchSilence: Duration = .seconds(10)
    ) {
        precondition(!endpoints.isEmpty, "etcd needs an endpoint")
        self.endpoints = endpoints
        self.user = user
        self.tls = tls
        self.attemptTimeout = attemptTimeout
        self.watchSilence = watchSilence
    }
}
