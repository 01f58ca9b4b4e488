import ArgumentParser
import MienClient
import NodeServer

/// How a command reaches the cluster.
struct ConnectionOptions: ParsableArguments {
    static let defaultAddress = MienClient.Address(host: "127.0.0.1", port: 7400)
    static let addressVariable = "MIEN_COORDINATOR"
    static let trustVariable = "MIEN_TLS_TRUST"

    @Option(
        name: .customLong("coordinator"),
        help: ArgumentHelp(
            "Address of a coordinator; may be given more than once. Otherwise MIEN_COORDINATOR (separated by commas), "
                + "otherwise \(defaultAddress).",
            valueName: "host:port"
        ),
        transform: ArgumentText.address
    )
    var coordinators: [MienClient.Address] = []

    @Option(
        help: ArgumentHelp(
            "File with the cluster's token. Otherwise MIEN_TOKEN (the token itself) or MIEN_TOKEN_FILE.",
            valueName: "file"
        )
    )
    var tokenFile: String?

    @Option(
        name: .customLong("tls-trust"),
        help: ArgumentHelp(
            "Speak TLS and trust certificates that the ones in this PEM file have signed; 'system' for those that the "
                + "machine trusts. Otherwise MIEN_TLS_TRUST. A token goes beyond this machine under TLS alone.",
            valueName: "file"
        )
    )
    var trustRoots: String?

    @Option(
        parsing: .unconditional,
        help: ArgumentHelp(
            "Longest time of one request, in seconds. Commands that go on where the cluster was away for a moment, "
                + "such as import and backup, add the minute for which they send it again.",
            valueName: "seconds"
        )
    )
    var timeout: Double = 30

    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard timeout > 0, timeout <= 86_400 else {
            throw ValidationError("--timeout must be more than 0 and at most 86400 seconds.")
        }
    }

    /// - Parameter retryDuration: how long requests that fail for a passing reason are sent again, in the time of one.
    func client(on console: Console, retryDuration: Duration = .zero) throws(CommandFailure) -> MienClient {
        try client(on: console, calls: .init(timeout: .seconds(timeout), retryDuration: retryDuration))
    }

    /// For a command that goes on after the cluster was away.
    ///
    /// - Parameter absence: how long requests that fail for a passing reason are sent again; each has the time of one
    ///   besides, so that what is sent last has that, too.
    func client(on console: Console, bearing absence: Duration) throws(CommandFailure) -> MienClient {
        try client(on: console, calls: .init(timeout: absence + Duration.seconds(timeout), retryDuration: absence))
    }

    private func client(
        on console: Console,
        calls: MienClient.CallOptions
    ) throws(CommandFailure) -> MienClient {
        let addresses = try addresses(console.environment)
        let token = try ClusterToken.read(file: tokenFile, environment: console.environment)
        let tls = trust(console.environment).map { MienClient.TLS(trustRootsFile: $0 == "system" ? nil : $0) }
        if tls == nil, token != nil, let address = addresses.first(where: { !$0.isLoopback }) {
            throw CommandFailure(
                .configuration,
                "\(address) is beyond this machine, and without TLS everyone between could read the token; give "
                    + "--tls-trust FILE or \(Self.trustVariable), which may be 'system'"
            )
        }
        do throws(MienClientError) {
            return try MienClient(
                addresses: addresses,
                token: token,
                tls: tls,
                calls: calls,
                agent: "mien/\(NodeServer.version)"
            )
        } catch {
            throw CommandFailure(.configuration, error.message)
        }
    }

    /// Gives the body a client, and closes it after, whatever came of that.
    func withClient<R>(
        on console: Console,
        _ body: (MienClient) async throws(CommandFailure) -> R
    ) async throws(CommandFailure) -> R {
        let client = try client(on: console)
        let outcome: Result<R, CommandFailure>
        do throws(CommandFailure) {
            outcome = .success(try await body(client))
        } catch {
            outcome = .failure(error)
        }
        await client.close()
        return try outcome.get()
    }

    private func trust(_ environment: [String: String]) -> String? {
        trustRoots ?? environment[Self.trustVariable].flatMap { $0.isEmpty ? nil : $0 }
    }

    private func addresses(_ environment: [String: String]) throws(CommandFailure) -> [MienClient.Address] {
        if !coordinators.isEmpty { return coordinators }
        guard let text = environment[Self.addressVariable], !text.isEmpty else { return [Self.defaultAddress] }
        let failure = CommandFailure(
            .configuration,
            "\(Self.addressVariable) must be addresses such as 127.0.0.1:7400, separated by commas"
        )
        var addresses: [MienClient.Address] = []
        for part in text.split(separator: ",") {
            let word = part.drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed()
            if word.isEmpty { continue }
            guard let address = MienClient.Address(String(word)) else { throw failure }
            addresses.append(address)
        }
        guard !addresses.isEmpty else { throw failure }
        return addresses
    }
}
