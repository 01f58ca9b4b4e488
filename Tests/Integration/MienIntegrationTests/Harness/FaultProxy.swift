import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A way to one node that can be made bad: everything sent to `port` goes on to the node's own, and back.
///
/// What a fault holds back is delivered when the fault is over, in order, as TCP does after a cut.
final class FaultProxy: Sendable {
    enum Fault: Equatable, Sendable {
        case none
        /// Every byte comes so much later.
        case delay(Duration)
        /// Bytes of each direction of a connection in a second.
        case throttle(bytesPerSecond: Int)
        /// Nothing passes; connections stay open.
        case cut
        /// Nothing passes towards the node, or from it.
        case cutTowards
        case cutFrom
        /// One bit in so many bytes arrives as another.
        case flip(oneIn: Int)
    }

    enum Direction: Sendable {
        case towards
        case from
    }

    private static let group = MultiThreadedEventLoopGroup.singleton

    let port: Int
    private let listener: any Channel
    private let state: State

    /// Shared with every connection.
    final class State: Sendable {
        private let fault = Mutex(Fault.none)
        private let pipes = Mutex<[ObjectIdentifier: NIOLoopBound<Pipe>]>([:])

        var current: Fault { fault.withLock(\.self) }

        func set(_ fault: Fault) {
            self.fault.withLock { $0 = fault }
            forEach { $0.release() }
        }

        func forEach(_ body: @escaping @Sendable (Pipe) -> Void) {
            for pipe in pipes.withLock({ Array($0.values) }) { pipe.eventLoop.execute { body(pipe.value) } }
        }

        fileprivate func add(_ pipe: Pipe, on eventLoop: any EventLoop) {
            let bound = NIOLoopBound(pipe, eventLoop: eventLoop)
            pipes.withLock { $0[ObjectIdentifier(pipe)] = bound }
        }

        fileprivate func remove(_ pipe: Pipe) { pipes.withLock { $0[ObjectIdentifier(pipe)] = nil } }
    }

    private init(listener: any Channel, state: State) {
        self.listener = listener
        self.state = state
        port = listener.localAddress!.port!
    }

    /// - Parameter target: port of loopback where the node listens, now or later.
    static func start(to target: Int) async throws -> FaultProxy {
        try await start(to: .loopback(target))
    }

    /// - Parameter host: of a private network, where the node listens, now or later, on the port of every node there.
    static func start(to host: PrivateNetwork.Host) async throws -> FaultProxy {
        try await start(to: .host(host))
    }

    private enum Target {
        case loopback(Int)
        case host(PrivateNetwork.Host)
    }

    private static func start(to target: Target) async throws -> FaultProxy {
        let state = State()
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    let towards = Pipe(.towards, state)
                    try channel.pipeline.syncOperations.addHandler(towards)
                    state.add(towards, on: channel.eventLoop)
                    connect(channel, towards, to: target, state)
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FaultProxy(listener: listener, state: state)
    }

    /// Makes the second half of a connection; without one the first ends.
    private static func connect(_ channel: any Channel, _ towards: Pipe, to target: Target, _ state: State) {
        let bound = NIOLoopBound(towards, eventLoop: channel.eventLoop)
        let bootstrap = ClientBootstrap(group: channel.eventLoop)
            .channelInitializer { other in
                other.eventLoop.makeCompletedFuture {
                    let from = Pipe(.from, state)
                    try other.pipeline.syncOperations.addHandler(from)
                    state.add(from, on: other.eventLoop)
                    from.lead(to: channel)
                }
            }
        let connection =
            switch target {
            case .loopback(let port): bootstrap.connect(host: "127.0.0.1", port: port)
            case .host(let host):
                channel.eventLoop.makeFutureWithTask { try await host.socket().descriptor }.assumeIsolated()
                    .flatMap { bootstrap.withConnectedSocket($0) }.nonisolated()
            }
        connection.whenComplete { result in
            switch result {
            case .success(let other): bound.value.lead(to: other)
            case .failure: channel.close(promise: nil)
            }
        }
    }

    func set(_ fault: Fault) { state.set(fault) }

    /// Ends every connection with a reset.
    func reset() { state.forEach { $0.reset() } }

    func stop() async {
        state.set(.none)
        state.forEach { $0.reset() }
        try? await listener.close()
    }

    /// One direction of one connection.
    final class Pipe: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        private let direction: Direction
        private var target: (any Channel)?
        private let state: State
        private var context: ChannelHandlerContext?
        private var held: [ByteBuffer] = []
        private var isEnded = false
        /// When what was sent so far has arrived.
        private var arrival = NIODeadline.now()
        private var lastTime = NIODeadline.now()
        private var byteCount = 0

        init(_ direction: Direction, _ state: State) {
            self.direction = direction
            self.state = state
        }

        /// Says where it leads; before that everything is held.
        func lead(to target: any Channel) {
            self.target = target
            release()
        }

        func handlerAdded(context: ChannelHandlerContext) { self.context = context }

        func handlerRemoved(context: ChannelHandlerContext) {
            self.context = nil
            // The other side has still to hear of an end that a cut keeps from it.
            if !isEnded || !isCut { state.remove(self) }
        }

        func channelRead(context: ChannelHandlerContext, data: NIOAny) {
            held.append(unwrapInboundIn(data))
            release()
        }

        func channelInactive(context: ChannelHandlerContext) {
            isEnded = true
            release()
        }

        func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }

        private var isCut: Bool {
            switch state.current {
            case .cut: true
            case .cutTowards: direction == .towards
            case .cutFrom: direction == .from
            case .none, .delay, .throttle, .flip: false
            }
        }

        /// Sends on what may go on.
        func release() {
            guard !isCut, let target else { return }
            for buffer in held {
                let buffer = damaged(buffer)
                arrival = max(arrival, .now()) + transferTime(of: buffer)
                // What comes after a delay that has ended does not overtake what came in it.
                let time = max(arrival + latency, lastTime)
                lastTime = time
                if time <= .now() {
                    target.writeAndFlush(buffer, promise: nil)
                } else {
                    target.eventLoop.scheduleTask(deadline: time) { target.writeAndFlush(buffer, promise: nil) }
                }
            }
            held.removeAll()
            guard isEnded else { return }
            target.eventLoop.scheduleTask(deadline: lastTime) { target.close(promise: nil) }
            if context == nil { state.remove(self) }
        }

        func reset() {
            _ = (context?.channel as? any SocketOptionProvider)?.setSoLinger(linger(l_onoff: 1, l_linger: 0))
            context?.close(promise: nil)
        }

        private var latency: TimeAmount {
            if case .delay(let delay) = state.current { TimeAmount(delay) } else { .zero }
        }

        private func transferTime(of buffer: ByteBuffer) -> TimeAmount {
            guard case .throttle(let rate) = state.current else { return .zero }
            return .nanoseconds(Int64(buffer.readableBytes) * 1_000_000_000 / Int64(rate))
        }

        private func damaged(_ buffer: ByteBuffer) -> ByteBuffer {
            guard case .flip(let interval) = state.current else { return buffer }
            var buffer = buffer
            for index in buffer.readerIndex..<buffer.writerIndex {
                byteCount += 1
                guard byteCount.isMultiple(of: interval), let byte: UInt8 = buffer.getInteger(at: index) else {
                    continue
                }
                buffer.setInteger(byte ^ 1 << UInt8(byteCount / interval % 8), at: index)
            }
            return buffer
        }
    }
}
