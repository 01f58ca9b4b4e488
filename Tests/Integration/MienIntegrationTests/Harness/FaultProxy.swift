import Glibc
import NIOCore
import NIOPosix
import Synchronization

/// A way to one node that can be made bad: everything sent to `port` goes on to the node's own, and back.
///
/// What a fault holds back is delivered when the fault is over, in order, as TCP does after a cut. A fault may be of
/// one caller only: processes of this machine are told apart by who has the other end of a connection.
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
        /// A connection ends as one in so many pieces of it arrives, as a rule a few KiB, and what is on its way is
        /// lost; every other new one ends at once.
        case drop(oneIn: Int)
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
        private struct Faults {
            var ofAll = Fault.none
            var ofCallers: [pid_t: Fault] = [:]
            var callCounts: [pid_t?: Int] = [:]
            var random = SeededRandom(seed: 1)
        }

        private let faults = Mutex(Faults())
        private let pipes = Mutex<[ObjectIdentifier: NIOLoopBound<Pipe>]>([:])

        func fault(of caller: pid_t?) -> Fault {
            faults.withLock { faults in caller.flatMap { faults.ofCallers[$0] } ?? faults.ofAll }
        }

        func set(_ fault: Fault) {
            faults.withLock {
                $0.ofAll = fault
                $0.ofCallers = [:]
            }
            onEach { $0.release() }
        }

        func set(_ fault: Fault, from caller: pid_t) {
            faults.withLock { $0.ofCallers[caller] = fault }
            onEach { $0.release() }
        }

        func count(of caller: pid_t?) -> Int { faults.withLock { $0.callCounts[caller] ?? 0 } }

        /// Notes a new connection.
        ///
        /// - Returns: whether it may go on.
        func admits(_ caller: pid_t?) -> Bool {
            faults.withLock { $0.callCounts[caller, default: 0] += 1 }
            if case .drop = fault(of: caller) { return !happens(oneIn: 2) }
            return true
        }

        func happens(oneIn count: Int) -> Bool {
            faults.withLock { Int.random(in: 0..<count, using: &$0.random) == 0 }
        }

        func onEach(_ body: @escaping @Sendable (Pipe) -> Void) {
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
                    towards.whenActive { accept(channel, towards, to: target, state) }
                }
            }
            .bind(host: "127.0.0.1", port: 0).get()
        return FaultProxy(listener: listener, state: state)
    }

    /// Finds out who calls, and leads the connection on.
    private static func accept(_ channel: any Channel, _ towards: Pipe, to target: Target, _ state: State) {
        let ports = (channel.remoteAddress?.port ?? 0, channel.localAddress?.port ?? 0)
        let bound = NIOLoopBound(towards, eventLoop: channel.eventLoop)
        NIOThreadPool.singleton.runIfActive(eventLoop: channel.eventLoop) {
            ConnectionOwner.process(from: ports.0, to: ports.1)
        }.whenComplete { result in
            let caller = try? result.get()
            bound.value.caller = caller
            if state.admits(caller) {
                connect(channel, bound.value, to: target, state)
            } else {
                bound.value.reset()
                state.remove(bound.value)
            }
        }
    }

    /// Makes the second half of a connection; without one the first ends.
    private static func connect(_ channel: any Channel, _ towards: Pipe, to target: Target, _ state: State) {
        let bound = NIOLoopBound(towards, eventLoop: channel.eventLoop)
        let caller = towards.caller
        let bootstrap = ClientBootstrap(group: channel.eventLoop)
            .channelInitializer { other in
                other.eventLoop.makeCompletedFuture {
                    let from = Pipe(.from, state)
                    from.caller = caller
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
            case .failure:
                channel.close(promise: nil)
                state.remove(bound.value)
            }
        }
    }

    /// A fault of every caller; those of single ones end.
    func set(_ fault: Fault) { state.set(fault) }

    /// A fault of what one process has opened and opens, until the next one of everybody.
    func set(_ fault: Fault, from caller: pid_t) { state.set(fault, from: caller) }

    /// How many connections a process has opened; nil for those of whom nobody knows.
    func connectionCount(from caller: pid_t?) -> Int { state.count(of: caller) }

    /// Ends every connection with a reset, or those that one process has opened.
    func reset(from caller: pid_t? = nil) {
        state.onEach { if caller == nil || $0.caller == caller { $0.reset() } }
    }

    func stop() async {
        state.set(.none)
        state.onEach { $0.reset() }
        try? await listener.close()
    }

    /// One direction of one connection.
    final class Pipe: ChannelInboundHandler {
        typealias InboundIn = ByteBuffer

        /// The process that opened the connection, once it is known.
        var caller: pid_t?
        private let direction: Direction
        private var target: (any Channel)?
        private let state: State
        private var context: ChannelHandlerContext?
        private var held: [ByteBuffer] = []
        private var start: (() -> Void)?
        private var isEnded = false
        /// When what was sent so far has arrived.
        private var arrival = NIODeadline.now()
        private var lastTime = NIODeadline.now()
        private var byteCount = 0

        init(_ direction: Direction, _ state: State) {
            self.direction = direction
            self.state = state
        }

        /// Runs once its channel has addresses.
        func whenActive(_ body: @escaping () -> Void) { start = body }

        func channelActive(context: ChannelHandlerContext) {
            start?()
            start = nil
        }

        /// Says where it leads; before that everything is held.
        func lead(to target: any Channel) {
            self.target = target
            release()
        }

        func handlerAdded(context: ChannelHandlerContext) { self.context = context }

        func handlerRemoved(context: ChannelHandlerContext) {
            self.context = nil
            // The other side has still to hear of an end that comes before it is there, or that a cut keeps from it.
            if !isEnded || (!isCut && target != nil) { state.remove(self) }
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

        private var fault: Fault { state.fault(of: caller) }

        private var isCut: Bool {
            switch fault {
            case .cut: true
            case .cutTowards: direction == .towards
            case .cutFrom: direction == .from
            case .none, .delay, .throttle, .flip, .drop: false
            }
        }

        /// Sends on what may go on.
        func release() {
            guard !isCut, let target else { return }
            for buffer in held {
                if case .drop(let count) = fault, state.happens(oneIn: count) {
                    held.removeAll()
                    reset()
                    target.close(promise: nil)
                    return
                }
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
            if case .delay(let delay) = fault { TimeAmount(delay) } else { .zero }
        }

        private func transferTime(of buffer: ByteBuffer) -> TimeAmount {
            guard case .throttle(let rate) = fault else { return .zero }
            return .nanoseconds(Int64(buffer.readableBytes) * 1_000_000_000 / Int64(rate))
        }

        private func damaged(_ buffer: ByteBuffer) -> ByteBuffer {
            guard case .flip(let interval) = fault else { return buffer }
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
