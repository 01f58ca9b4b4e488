import NodeConfiguration
import NodeServer
import Observability

extension FuzzTarget {
    /// What a node is asked over HTTP, behind the reading of HTTP itself, which is SwiftNIO's: a byte that says which
    /// of authorization and host are there and whether the node has a token, then method, path, authorization and
    /// host, a line each.
    static let adminRequests = FuzzTarget(
        name: "admin-requests",
        seeds: { AdminRequestTarget.seeds },
        accepts: { AdminRequestTarget.accepts($0) }
    )
}

enum AdminRequestTarget {
    private static let secret = "0123456789abcdef"
    private static let open = pages(token: nil)
    private static let guarded = pages(token: secret)

    private static func pages(token: String?) -> AdminPages {
        let environment = token.map { ["MIEN_TOKEN": $0] } ?? [:]
        guard let node = try? WorkerConfiguration(from: ConfigurationSources(environment: environment)) else {
            preconditionFailure("the built-in values are refused")
        }
        return AdminPages(registry: MetricRegistry(), problems: { [] }, remarks: { ["a remark"] }, token: node.token)
    }

    /// Whether it is told something: then by one of the three pages, and nobody is told metrics without the token.
    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let presence = bytes.first else { return false }
        let lines = bytes.dropFirst().split(separator: 0x0a, omittingEmptySubsequences: false)
            .map { String(decoding: $0, as: UTF8.self) }
        func line(_ index: Int) -> String { lines.indices.contains(index) ? lines[index] : "" }
        let (method, path) = (line(0), line(1))
        let authorization = presence & 1 == 0 ? nil : line(2)
        let host = presence & 2 == 0 ? nil : line(3)
        let hasToken = presence & 4 != 0
        let answer = (hasToken ? guarded : open).answer(
            method: method,
            path: path,
            authorization: authorization,
            host: host
        )
        precondition(!answer.text.contains(secret), "the token is told")
        guard answer.status == 200 else {
            precondition([401, 404, 405, 421].contains(answer.status), "a status that nobody named")
            precondition(answer.text.hasSuffix("\n") && answer.text.utf8.count < 128, "more than a sentence")
            return false
        }
        precondition(method == "GET" || method == "HEAD", "a method that changes something is answered")
        let page = path.prefix { $0 != "?" }
        precondition(["/healthz", "/readyz", "/metrics"].contains(page), "a page that is not there is answered")
        if hasToken, page == "/metrics" {
            let scheme = "bearer "
            precondition(
                authorization.map {
                    $0.lowercased().hasPrefix(scheme) && $0.dropFirst(scheme.count) == secret
                } ?? false,
                "metrics are told without the token"
            )
        }
        return true
    }

    fileprivate static let seeds: [[UInt8]] = [
        (0, "GET\n/healthz"), (2, "GET\n/readyz\n\nlocalhost:7402"), (2, "HEAD\n/metrics?x=1\n\n127.0.0.1"),
        (2, "GET\n/healthz\n\n[::1]:7402"), (7, "GET\n/metrics\nBearer \(secret)\nnode.internal"),
        (5, "GET\n/metrics\nbearer \(secret)"),
    ].map { [$0.0] + Array($0.1.utf8) }
}
