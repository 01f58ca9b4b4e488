package import WireProtocol

/// What an accepted connection does with each frame: pure, no clock and no socket.
package struct ServerConnectionStateMachine {
    private enum State {
        /// Can move to: `open`, `draining`, `closing`.
        case awaitingHello
        /// Can move to: `draining`, `closing`.
        case open(PeerRole)
        /// Finishes what is under way and starts nothing more. Can move to: `closing`.
        case draining(PeerRole?)
        /// A last status is on its way; whatever still comes is dropped.
        case closing
    }

    package enum Action: Equatable {
        /// Read the frame as a hello and come back with ``helloReceived(_:tokenIsRight:stream:)``.
        case readHello
        /// Answer the hello and let frames of the granted size through.
        case accept(HelloReply, stream: UInt64)
        /// Hand the request to the handler; its end is told by ``finished(_:)``.
        case handle(PeerRole)
        case cancel(stream: UInt64)
        case pong(stream: UInt64)
        /// Send the status; the connection goes on.
        case answer(WireStatus, stream: UInt64)
        /// Send the status, then close.
        case refuse(WireStatus, stream: UInt64)
        case ignore
    }

    private var state = State.awaitingHello
    private var streams: Set<UInt64> = []
    private let configuration: WireServerConfiguration

    package init(_ configuration: WireServerConfiguration) {
        self.configuration = configuration
    }

    package var isAwaitingHello: Bool { if case .awaitingHello = state { true } else { false } }
    package var isClosing: Bool { if case .closing = state { true } else { false } }

    /// Of the hello; nil before it, and once the connection is to be closed.
    package var peerRole: PeerRole? {
        switch state {
        case .open(let role): role
        case .draining(let role): role
        case .awaitingHello, .closing: nil
        }
    }

    /// A sound frame of a known type has come.
    package mutating func received(_ type: MessageType, stream: UInt64) -> Action {
        switch state {
        case .closing: return .ignore
        case .awaitingHello:
            guard type == .hello else {
                return refuse(
                    WireStatus(.unauthenticated, "the first message of a connection must be a hello"),
                    stream: stream
                )
            }
            return .readHello
        case .draining(nil): return .ignore
        case .open(let role): return received(type, stream: stream, role: role, isDraining: false)
        case .draining(let role?): return received(type, stream: stream, role: role, isDraining: true)
        }
    }

    private mutating func received(
        _ type: MessageType,
        stream: UInt64,
        role: PeerRole,
        isDraining: Bool
    ) -> Action {
        switch type {
        case .cancel: return streams.contains(stream) ? .cancel(stream: stream) : .ignore
        case .ping: return .pong(stream: stream)
        case .hello: return refuse(WireStatus(.malformedFrame, "a second hello on one connection"), stream: stream)
        case _ where !type.isRequest:
            return refuse(
                WireStatus(.malformedFrame, "a \(type) message is not for this side of a connection"),
                stream: stream
            )
        default: break
        }
        if stream == 0 || streams.contains(stream) {
            return refuse(
                WireStatus(.malformedFrame, "stream \(stream) cannot be given to a request: it is under way or zero"),
                stream: stream
            )
        }
        if isDraining {
            return .answer(
                WireStatus(.unavailable, "the node is stopping; call it again later, or another one"),
                stream: stream
            )
        }
        if streams.count >= Int(configuration.limits.streamCount) {
            return .answer(
                WireStatus(
                    .overloaded,
                    "this connection has \(streams.count) requests under way, which is its limit",
                    retryAfterMilliseconds: 20
                ),
                stream: stream
            )
        }
        streams.insert(stream)
        return .handle(role)
    }

    /// The hello that ``Action/readHello`` asked for has been read.
    package mutating func helloReceived(_ hello: Hello, tokenIsRight: Bool, stream: UInt64) -> Action {
        guard isAwaitingHello else { return .ignore }
        guard let version = WireVersion.agreed(lowest: hello.lowestVersion, highest: hello.highestVersion) else {
            return refuse(
                WireStatus(
                    .incompatibleVersion,
                    "this node speaks protocol versions \(WireVersion.lowest) to \(WireVersion.highest), the caller "
                        + "\(hello.lowestVersion) to \(hello.highestVersion); upgrade the older side"
                ),
                stream: stream
            )
        }
        guard tokenIsRight else {
            return refuse(
                WireStatus(
                    .unauthenticated,
                    hello.token.isEmpty
                        ? "this node asks for a token and none was given; configure the cluster's token"
                        : "the token is not this cluster's; check the configured token"
                ),
                stream: stream
            )
        }
        state = .open(hello.role)
        return .accept(
            HelloReply(
                version: version,
                features: configuration.features.intersection(WireFeatures(rawValue: hello.features)).rawValue,
                role: configuration.role,
                node: configuration.node,
                limits: configuration.limits,
                agent: configuration.agent
            ),
            stream: stream
        )
    }

    /// A payload, or the bytes themselves, could not be read.
    package mutating func failed(_ status: WireStatus, stream: UInt64) -> Action {
        switch state {
        case .closing: .ignore
        case .awaitingHello, .draining(nil): refuse(status, stream: stream)
        case .open, .draining: .answer(status, stream: stream)
        }
    }

    /// The connection cannot go on.
    package mutating func refuse(_ status: WireStatus, stream: UInt64) -> Action {
        if isClosing { return .ignore }
        state = .closing
        return .refuse(status, stream: stream)
    }

    /// A request that was handled has been answered.
    ///
    /// - Returns: whether the connection is to be closed now.
    package mutating func finished(_ stream: UInt64) -> Bool {
        streams.remove(stream)
        if case .draining = state { return streams.isEmpty }
        return false
    }

    /// The node is stopping.
    ///
    /// - Returns: whether nothing is under way, so that the connection may close at once.
    package mutating func drain() -> Bool {
        switch state {
        case .awaitingHello: state = .draining(nil)
        case .open(let role): state = .draining(role)
        case .draining, .closing: break
        }
        return streams.isEmpty
    }
}
