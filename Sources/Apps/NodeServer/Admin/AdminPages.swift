internal import Glibc
package import NodeConfiguration
package import Observability

/// What a node answers over HTTP, apart from how it gets there.
package struct AdminPages: Sendable {
    package struct Answer: Hashable, Sendable {
        package var status: Int
        package var contentType = "text/plain; charset=utf-8"
        package var text: String
    }

    let registry: MetricRegistry
    /// Why the node is not ready, as sentences; empty when it is.
    let problems: @Sendable () -> [String]
    /// What people should know although it is ready, as sentences.
    let remarks: @Sendable () -> [String]
    /// What `/metrics` asks for; nil for nothing.
    let token: AccessToken?

    package init(
        registry: MetricRegistry,
        problems: @escaping @Sendable () -> [String],
        remarks: @escaping @Sendable () -> [String] = { [] },
        token: AccessToken?
    ) {
        self.registry = registry
        self.problems = problems
        self.remarks = remarks
        self.token = token
        registry.collect { samples in
            samples.add(MetricCatalogue.ready, value: problems().isEmpty ? 1 : 0)
        }
    }

    /// - Parameters:
    ///   - path: as in the request line; a query is left out of account.
    ///   - authorization: the header of that name.
    ///   - host: the name that the node was asked under, with or without a port; nil when none was given.
    package func answer(method: String, path: String, authorization: String?, host: String? = nil) -> Answer {
        guard isAnswered(under: host) else {
            return Answer(status: 421, text: "Ask under an IP address or localhost.\n")
        }
        guard method == "GET" || method == "HEAD" else {
            return Answer(status: 405, text: "Only GET and HEAD are answered here.\n")
        }
        switch path.prefix(while: { $0 != "?" }) {
        case "/healthz": return Answer(status: 200, text: "alive\n")
        case "/readyz":
            let problems = problems()
            let remarks = remarks().map { "\($0)\n" }.joined()
            guard problems.isEmpty else {
                return Answer(status: 503, text: problems.map { "\($0)\n" }.joined() + remarks)
            }
            return Answer(status: 200, text: "ready\n" + remarks)
        case "/metrics":
            guard isAllowed(authorization) else {
                return Answer(status: 401, text: "/metrics asks for the cluster's token: Authorization: Bearer TOKEN\n")
            }
            return Answer(status: 200, contentType: MetricRegistry.contentType, text: registry.rendered())
        default: return Answer(status: 404, text: "There are /metrics, /healthz and /readyz.\n")
        }
    }

    /// Where no token is asked for, only names are answered to that nobody else gives: a page in a browser may have had
    /// its own lead to this machine (DNS rebinding), and would read what is told.
    private func isAnswered(under host: String?) -> Bool {
        guard token == nil, let host else { return true }
        let name: Substring
        if host.hasPrefix("[") {
            name = host.dropFirst().prefix { $0 != "]" }
        } else {
            name = host.prefix { $0 != ":" }
        }
        if name.lowercased() == "localhost" { return true }
        var address = in6_addr()
        return unsafe inet_pton(AF_INET, String(name), &address) == 1
            || inet_pton(AF_INET6, String(name), &address) == 1
    }

    private func isAllowed(_ authorization: String?) -> Bool {
        guard let token else { return true }
        let scheme = "bearer "
        guard let authorization, authorization.lowercased().hasPrefix(scheme) else { return false }
        return token.isSecret(String(authorization.dropFirst(scheme.count)))
    }
}
