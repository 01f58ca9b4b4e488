import AsyncHTTPClient
import FoundationEssentials
import Glibc
package import NIOCore
import NIOHTTP1
import NIOPosix
import NIOSSL
import Synchronization

/// Calls to an etcd cluster by the JSON gateway that every member has beside gRPC.
///
/// A member that cannot be reached or has no leader is followed by the next, and one that did not answer comes last
/// from then on. Reads are asked again anywhere; a change whose answer was lost is not, because it may have been made.
package final class EtcdClient: Sendable {
    private static let replyByteLimit = 256 << 20

    private let options: EtcdOptions
    private let http: HTTPClient
    /// For connections that begin from now on.
    private let tls: Mutex<TLSConfiguration>
    private let state = Mutex(State())

    private struct State {
        /// Position of the endpoint that did as it was asked last.
        var preferred = 0
        /// Positions of the endpoints whose last request was not answered.
        var silent: Set<Int> = []
        /// Watches begun.
        var watched = 0
        var token: String?

        /// Positions in the order in which they are asked. A change is not sent to a member that did not answer while
        /// there are others: it would only make its outcome unknown. Reads find out when that one is back.
        func order(_ kind: Kind, endpointCount: Int) -> [Int] {
            let turn = (0..<endpointCount).map { (preferred + $0) % endpointCount }
            let answering = turn.filter { !silent.contains($0) }
            if kind == .change, !answering.isEmpty { return answering }
            return answering + turn.filter { silent.contains($0) }
        }
    }

    /// Nothing is connected yet.
    ///
    /// - Throws: `tls`: which file cannot be used.
    package init(_ options: EtcdOptions, group: any EventLoopGroup) throws(EtcdError) {
        self.options = options
        var configuration = HTTPClient.Configuration()
        configuration.timeout = .init(
            // Shorter than an attempt, so that it is known whether the request was sent.
            connect: TimeAmount(options.attemptTimeout / 2),
            read: TimeAmount(options.watchSilence)
        )
        configuration.connectionPool.retryConnectionEstablishment = false
        configuration.redirectConfiguration = .disallow
        configuration.httpVersion = .http1Only
        configuration.decompression = .disabled
        tls = Mutex(try Self.tls(options.tls))
        http = HTTPClient(eventLoopGroupProvider: .shared(group), configuration: configuration)
    }

    /// Ends what is under way. To be called once.
    package func close() async {
        try? await http.shutdown()
    }

    /// Reads the TLS files again. Requests from now on are sent over connections of their own that use them; watches
    /// go on.
    ///
    /// - Throws: `tls`: which file cannot be used; then those before stay in use.
    package func reloadTLS() throws(EtcdError) {
        let new = try Self.tls(options.tls)
        tls.withLock { $0 = new }
    }

    private static func tls(_ files: EtcdOptions.TLS) throws(EtcdError) -> TLSConfiguration {
        var configuration = TLSConfiguration.makeClientConfiguration()
        configuration.minimumTLSVersion = .tlsv12
        var path = ""
        do {
            if let file = files.trustRoots {
                path = file
                configuration.trustRoots = .certificates(try NIOSSLCertificate.fromPEMFile(file))
            }
            if let file = files.certificate {
                path = file
                configuration.certificateChain = try NIOSSLCertificate.fromPEMFile(file).map { .certificate($0) }
            }
            if let file = files.privateKey {
                path = file
                configuration.privateKey = .privateKey(try NIOSSLPrivateKey(file: file, format: .pem))
            }
            _ = try NIOSSLContext(configuration: configuration)
        } catch {
            throw .tls(reason: "The PEM file \(path) cannot be used to speak to etcd: \(error)")
        }
        return configuration
    }

    // MARK: Calls

    /// What a request is to a member: whether asking twice does any harm.
    enum Kind {
        case read, change
    }

    /// The answer of the first member that gives one, for ``EtcdAnswer`` to read.
    func call(_ path: String, _ body: some Encodable, _ kind: Kind) async throws(EtcdError) -> [UInt8] {
        let bytes = try Self.encode(body)
        var failure = EtcdError.unavailable(reason: "no member was asked")
        var hasRenewedToken = false
        var order = state.withLock { $0.order(kind, endpointCount: options.endpoints.count) }[...]
        while let position = order.first, !Task.isCancelled {
            do throws(EtcdError) {
                let reply = try await attempt(path, bytes, at: position)
                state.withLock { $0.preferred = position }
                return reply
            } catch .refused(GatewayCode.unauthenticated, _) where options.user != nil && !hasRenewedToken {
                // Tokens expire, or go by users and roles that were changed; a new one is asked for once.
                hasRenewedToken = true
                state.withLock { $0.token = nil }
                continue
            } catch {
                failure = error
            }
            switch failure {
            case .unavailable: break
            case .outcomeUnknown where kind == .read: break
            default: throw failure
            }
            order.removeFirst()
        }
        if case .outcomeUnknown(let reason) = failure, kind == .read { throw .unavailable(reason: reason) }
        throw failure
    }

    /// Watches a range of keys at one member until the watch ends.
    ///
    /// - Parameters:
    ///   - revision: the first to hear of; nil for those after the watch has begun.
    ///   - heard: gets the revision of the store when the watch begins, then that of every change.
    /// - Throws: why it ended; `compacted` when the revision asked for is history.
    package func watch(
        _ range: EtcdRange,
        from revision: Int64?,
        _ heard: (Int64) async -> Void
    ) async throws(EtcdError) {
        let request = WatchRequest(
            create: .init(
                key: Data(range.first),
                rangeEnd: Data(range.end),
                startRevision: revision.map(Int64Text.init)
            )
        )
        let bytes = try Self.encode(request)
        // Each watch begins at the next member: the last one may be the reason that it ended.
        let position = state.withLock { state in
            state.watched += 1
            return state.watched % options.endpoints.count
        }
        let endpoint = options.endpoints[position]
        let response = try await response("watch", bytes, at: position, deadline: .distantFuture)
        var splitter = LineSplitter()
        do {
            for try await part in response.body {
                guard let lines = splitter.lines(of: part) else {
                    throw EtcdError.malformed(
                        reason: "a line of a watch is longer than \(LineSplitter.byteLimit) bytes"
                    )
                }
                for line in lines {
                    if let revision = try EtcdAnswer.watched(line, at: endpoint) { await heard(revision) }
                }
            }
        } catch let error as EtcdError {
            throw error
        } catch {
            throw .unavailable(reason: "\(endpoint): \(Self.text(error))")
        }
    }

    private func attempt(_ path: String, _ body: ByteBuffer, at position: Int) async throws(EtcdError) -> [UInt8] {
        let deadline = NIODeadline.now() + TimeAmount(options.attemptTimeout)
        let response = try await response(path, body, at: position, deadline: deadline)
        do {
            return Array(try await response.body.collect(upTo: Self.replyByteLimit).readableBytesView)
        } catch {
            note(position, isSilent: true)
            throw .outcomeUnknown(reason: "\(options.endpoints[position]): \(Self.text(error))")
        }
    }

    private func note(_ position: Int, isSilent: Bool) {
        state.withLock { state in
            if isSilent { state.silent.insert(position) } else { state.silent.remove(position) }
        }
    }

    /// Sends a request to one member; returns once the head of a good answer is here.
    private func response(
        _ path: String,
        _ body: ByteBuffer,
        at position: Int,
        deadline: NIODeadline
    ) async throws(EtcdError) -> HTTPClientResponse {
        let endpoint = options.endpoints[position]
        var request = HTTPClientRequest(url: "\(endpoint)/v3/\(path)")
        request.method = .POST
        request.tlsConfiguration = tls.withLock(\.self)
        request.headers.add(name: "Content-Type", value: "application/json")
        // A member that is cut off from the others says so at once instead of waiting for them.
        request.headers.add(name: "Grpc-Metadata-hasleader", value: "true")
        if path != Self.authenticatePath, let token = try await token(at: position) {
            request.headers.add(name: "Authorization", value: token)
        }
        request.body = .bytes(body)
        let response: HTTPClientResponse
        let words: [UInt8]
        do {
            response = try await http.execute(request, deadline: deadline)
            note(position, isSilent: false)
            if response.status == .ok { return response }
            words = Array(try await response.body.collect(upTo: 1 << 20).readableBytesView)
        } catch {
            if !Task.isCancelled { note(position, isSilent: true) }
            throw Self.isUnsent(error)
                ? .unavailable(reason: "\(endpoint): \(Self.text(error))")
                : .outcomeUnknown(reason: "\(endpoint): \(Self.text(error))")
        }
        throw EtcdAnswer.failure(words, status: response.status.code, at: endpoint)
    }

    private static let authenticatePath = "auth/authenticate"

    /// The token of the user; nil when etcd is used without one.
    private func token(at position: Int) async throws(EtcdError) -> String? {
        guard let user = options.user else { return nil }
        if let token = state.withLock(\.token) { return token }
        let body = try Self.encode(AuthenticateRequest(name: user.name, password: user.password))
        let reply: [UInt8]
        do throws(EtcdError) {
            reply = try await attempt(Self.authenticatePath, body, at: position)
        } catch .outcomeUnknown(let reason) {
            // What the token was for has not been sent.
            throw .unavailable(reason: reason)
        }
        let token = try EtcdAnswer.token(reply)
        state.withLock { $0.token = token }
        return token
    }

    // MARK: Text

    static func encode(_ value: some Encodable) throws(EtcdError) -> ByteBuffer {
        do {
            return ByteBuffer(bytes: try JSONEncoder().encode(value))
        } catch {
            throw .malformed(reason: "a request cannot be written: \(error)")
        }
    }

    /// Whether the request was surely not sent.
    private static func isUnsent(_ error: any Error) -> Bool {
        switch error {
        case is NIOConnectionError: true
        case let error as IOError: error.errnoCode == ECONNREFUSED
        case let error as NIOSSLError: if case .handshakeFailed = error { true } else { false }
        case let error as ChannelError: if case .connectTimeout = error { true } else { false }
        case let error as HTTPClientError:
            [.connectTimeout, .tlsHandshakeTimeout, .getConnectionFromPoolTimeout, .alreadyShutdown].contains(error)
        default: false
        }
    }

    private static func text(_ error: any Error) -> String {
        switch error {
        case let error as NIOConnectionError:
            error.connectionErrors.first.map { "\($0.error)" } ?? error.dnsAError.map { "\($0)" }
                ?? "it cannot be connected to"
        case let error as HTTPClientError: error.shortDescription
        default: "\(error)"
        }
    }
}
