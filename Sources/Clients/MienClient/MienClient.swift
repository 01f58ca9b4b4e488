import ClusterModel
import NIOPosix
import WireProtocol
import WireTransport

/// A connection to a Mien cluster: collections, faces and searches.
///
/// ```swift
/// let client = try MienClient(addresses: [.init(host: "127.0.0.1", port: 7400)])
/// let results = try await client.search("people", probes: probes, model: "my-model-512")
/// await client.close()
/// ```
/// May be used from any number of tasks at once. Connections are made when they are first needed and again after a
/// loss. Cancelling a task ends its call at once; a write may have been done all the same, and doing it again under the
/// same identities changes nothing.
public final class MienClient: Sendable {
    let caller: CoordinatorCaller

    /// Prepares a client; nothing is connected yet.
    ///
    /// - Parameter token: goes beyond this machine under TLS alone.
    /// - Throws: `invalidRequest` without any address, with a token and an address beyond loopback but no TLS, or when
    ///   TLS cannot be set up from its files.
    public convenience init(
        addresses: [Address],
        token: String? = nil,
        tls: TLS? = nil,
        calls: CallOptions = CallOptions(),
        agent: String = "mien-client"
    ) throws(MienClientError) {
        guard !addresses.isEmpty else {
            throw MienClientError(code: .invalidRequest, message: "a client needs at least one coordinator address")
        }
        if tls == nil, token?.isEmpty == false, let address = addresses.first(where: { !$0.isLoopback }) {
            throw MienClientError(
                code: .invalidRequest,
                message: "\(address) is beyond this machine, and without TLS everyone between could read the token; "
                    + "give the client TLS"
            )
        }
        var clientTLS: ClientTLS?
        if let tls {
            do throws(TLSError) {
                clientTLS = try ClientTLS(
                    trustRootsFile: tls.trustRootsFile,
                    certificateFile: tls.certificateFile,
                    privateKeyFile: tls.privateKeyFile
                )
            } catch {
                throw MienClientError(code: .invalidRequest, message: "\(error)")
            }
        }
        // With others to ask, one that hangs is not waited for until a call's time is over.
        let silenceLimit: Duration? = addresses.count > 1 ? Self.silenceLimit : nil
        let peers = addresses.map { address in
            PeerClient(
                address: NodeAddress(host: address.host, port: address.port),
                role: .client,
                token: token ?? "",
                tls: clientTLS,
                group: MultiThreadedEventLoopGroup.singleton,
                agent: agent,
                silenceLimit: silenceLimit
            )
        }
        self.init(caller: CoordinatorCaller(peers: peers, options: calls))
    }

    /// How long a coordinator of several may say nothing while it has calls before it is pinged, and how long it has to
    /// answer that. Then the calls go to the next.
    private static let silenceLimit = Duration.seconds(5)

    private init(caller: CoordinatorCaller) {
        self.caller = caller
    }

    /// Of this client since it was made; one that ``with(calls:)`` made counts for itself.
    public var resends: Resends { caller.resends }

    /// The same connections with other times for its calls; closing either closes both.
    public func with(calls: CallOptions) -> MienClient {
        MienClient(caller: caller.with(calls))
    }

    /// Closes the connections; calls under way and later ones fail with `unavailable`, and those that wait to be sent
    /// again when they would be.
    public func close() async {
        await caller.close()
    }
}

extension MienClient {
    /// Where a coordinator listens.
    public struct Address: Hashable, Sendable, LosslessStringConvertible {
        public let host: String
        /// 1 to 65535.
        public let port: Int

        public init(host: String, port: Int) {
            self.host = host
            self.port = port
        }

        /// Reads `host:port` or `[ipv6]:port`; nil for anything else.
        public init?(_ text: String) {
            guard let address = NodeAddress(text), address.port > 0 else { return nil }
            self.init(host: address.host, port: address.port)
        }

        public var description: String { NodeAddress(host: host, port: port).description }

        /// Whether nobody but this machine can be there; a name other than `localhost` never is.
        package var isLoopback: Bool { NodeAddress(host: host, port: port).isLoopback }
    }

    /// The PEM files of TLS; without any of them the system's trust roots decide.
    public struct TLS: Hashable, Sendable {
        /// Who may sign the coordinators' certificates; nil for the system's roots.
        public var trustRootsFile: String?
        /// The client's own certificate and its key, where coordinators ask for one.
        public var certificateFile: String?
        public var privateKeyFile: String?

        public init(trustRootsFile: String? = nil, certificateFile: String? = nil, privateKeyFile: String? = nil) {
            self.trustRootsFile = trustRootsFile
            self.certificateFile = certificateFile
            self.privateKeyFile = privateKeyFile
        }
    }

    /// Calls that were sent again after a failure that may pass.
    public struct Resends: Hashable, Sendable, Codable, AdditiveArithmetic {
        public static let zero = Resends(callCount: 0, sendingCount: 0)

        public var callCount: Int
        /// After the first of each of these calls.
        public var sendingCount: Int

        public init(callCount: Int, sendingCount: Int) {
            self.callCount = callCount
            self.sendingCount = sendingCount
        }

        public static func + (left: Resends, right: Resends) -> Resends {
            Resends(
                callCount: left.callCount + right.callCount,
                sendingCount: left.sendingCount + right.sendingCount
            )
        }

        public static func - (left: Resends, right: Resends) -> Resends {
            Resends(
                callCount: left.callCount - right.callCount,
                sendingCount: left.sendingCount - right.sendingCount
            )
        }
    }

    /// How long calls may take.
    public struct CallOptions: Hashable, Sendable {
        /// Longest time of one call, retries included. A coordinator to which no connection comes about gets an even
        /// share of it while others are left to be asked.
        public var timeout: Duration
        /// How long a call that failed for a passing reason is tried again; within it, every coordinator is tried in
        /// turn. With zero each one is tried once.
        public var retryDuration: Duration

        public init(timeout: Duration = .seconds(30), retryDuration: Duration = .seconds(5)) {
            self.timeout = timeout
            self.retryDuration = retryDuration
        }
    }
}
