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
        let state = State()
        let listener = try await ServerBootstrap(group: group)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.autoRead, value: false)
            .childChannelInitializer { channel in
                ClientBootstrap(group: channel.eventLoop)
                    .channelOption(.autoRead, value: false)
                    .connect(host: "127.0.0.1", port: target)
                    .flatMapThrowing { other in
                        let towards = Pipe(.towards, to: other, state)
                        let from = Pipe(.from, to: channel, state)
                        try channel.pipeline.syncOperations.addHandler(towards)
                        try other.pipeline.syncOperations.addHandler(from)
                        state.add(towards, on: channel.eventLoop)
                        state.add(from, on: channel.eventLoop)
                        channel.setOption(.autoRead, value: true).whenSuccess { channel.read() }
                        other.setOption(.autoRead, value: true).whenSuccess { other.read() }
                    }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FaultProxy(listener: listener, state: state)
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
        private let target: any Channel
        private let state: State
        private var context: ChannelHandlerContext?
        private var held: [ByteBuffer] = []
        private var isEnded = false
        /// When what was sent so far has arrived.
        private var arrival = NIODeadline.now()
        private var byteCount = 0

        init(_ direction: Direction, to target: any Channel, _ state: State) {
            self.direction = direction
            self.target = target
            self.state = state
        }

        func handlerAdded(context: ChannelHandlerContext) { self.context = context }

        func handlerRemoved(context: ChannelHandlerContext) {
            self.context = nil
            state.remove(self)
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
            guard !isCut else { return }
            let target = target
            for buffer in held {
                let buffer = damaged(buffer)
                arrival = max(arrival, .now()) + transferTime(of: buffer)
                let time = arrival + latency
                if time <= .now() {
                    target.writeAndFlush(buffer, promise: nil)
                } else {
                    target.eventLoop.scheduleTask(deadline: time) { target.writeAndFlush(buffer, promise: nil) }
                }
            }
            held.removeAll()
            if isEnded { target.eventLoop.scheduleTask(deadline: arrival + latency) { target.close(promise: nil) } }
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
                guard byteCount.isMultiple(of: interval), let byte: UInt8 = buffer.getInteger(at: index) else { continue }
                buffer.setInteger(byte ^ 1 << UInt8(byteCount / interval % 8), at: index)
            }
            return buffer
        }
    }
}
