package import NIOCore
import Observability
import Synchronization
package import WireProtocol

/// One request under way, as its handler holds it. Every member may be used from any thread.
package final class ServerCall: Sendable {
    package let deadline: WireDeadline
    /// When its frame had come in.
    package let arrival: NIODeadline
    package let peerRole: PeerRole
    /// Of the request, without its frame's header.
    package let byteCount: Int
    /// Of the caller's span, as W3C writes it; nil when the caller does not trace.
    package let traceparent: String?
    package let eventLoop: any EventLoop
    private let stream: ServerStream
    private let executor: EventLoopTaskExecutor
    private let sender: any ReplySender

    init(
        deadline: WireDeadline,
        peerRole: PeerRole,
        byteCount: Int,
        traceparent: String? = nil,
        stream: ServerStream,
        executor: EventLoopTaskExecutor,
        sender: any ReplySender
    ) {
        self.deadline = deadline
        arrival = stream.began
        self.peerRole = peerRole
        self.byteCount = byteCount
        self.traceparent = traceparent
        self.eventLoop = executor.eventLoop
        self.stream = stream
        self.executor = executor
        self.sender = sender
    }

    deinit {
        fail(WireStatus(.internalError, "the node let the request go without an answer; this is a defect in it"))
    }

    /// Whether an answer is of no more use: the caller cancelled, its connection closed, or the deadline passed.
    package var isCancelled: Bool { stream.isCancelled || deadline.hasPassed }

    /// Answers the call. Only the first answer counts.
    package func reply(_ message: some WireMessage) {
        reply(message, holding: nil)
    }

    private func reply(_ message: some WireMessage, holding share: (any CallByteShare)?) {
        guard stream.takeAnswer() else { return }
        sender.send(message, stream: stream.id, holding: share)
    }

    /// Answers the call by a status. Only the first answer counts.
    package func fail(_ status: WireStatus) {
        reply(status)
    }

    /// Answers the call with what `body` returns or throws, run as a task on the connection's event loop.
    ///
    /// The task is part of the caller's trace, and is cancelled when the caller cancels or its connection closes. An
    /// error that is no ``WireStatusConvertible`` is answered as `internalError`, without its text.
    /// - Parameters:
    ///   - share: what counts the call's bytes. It is held until the answer has been written to the socket, or never
    ///     will be: that may be long after the call, when the peer reads nothing.
    ///   - ended: is told the answer, a status where `body` threw, before it is sent.
    package func run(
        holding share: (any CallByteShare)? = nil,
        ended: @Sendable @escaping (any WireMessage) -> Void = { _ in },
        _ body: @Sendable @escaping () async throws -> any WireMessage
    ) {
        let task = Task(executorPreference: executor) { [self] in
            await SearchSpan.continuing(traceparent) {
                let answer = await Self.answer(body)
                ended(answer)
                reply(answer, holding: share)
            }
        }
        stream.attach(task)
    }

    private static func answer(_ body: () async throws -> any WireMessage) async -> any WireMessage {
        do {
            return try await body()
        } catch let error as any WireStatusConvertible {
            return error.wireStatus
        } catch is CancellationError {
            return WireStatus(.cancelled, "the call was cancelled")
        } catch {
            return WireStatus(.internalError, "the node failed in an unforeseen way (\(type(of: error)))")
        }
    }
}

/// What counts the bytes of one call, from its request to its answer, for as long as it lives.
package protocol CallByteShare: AnyObject, Sendable {
    /// The answer is made: from now on its bytes are those of the call.
    func settle(answerByteCount: Int)
}

/// What carries answers to the peer.
protocol ReplySender: Sendable {
    /// - Parameter share: held until the message is written, or never will be.
    func send(_ message: some WireMessage, stream: UInt64, holding share: (any CallByteShare)?)
}

/// The state of one request, shared by its connection and its handler.
final class ServerStream: Sendable {
    let id: UInt64
    let type: MessageType
    /// When its frame had come in.
    let began: NIODeadline
    private let cancelled = Atomic<Bool>(false)
    private let answered = Atomic<Bool>(false)
    private let task = Mutex<Task<Void, Never>?>(nil)

    init(id: UInt64, type: MessageType, began: NIODeadline) {
        self.id = id
        self.type = type
        self.began = began
    }

    var isCancelled: Bool { cancelled.load(ordering: .relaxed) }

    /// True for the first caller only.
    func takeAnswer() -> Bool {
        !answered.exchange(true, ordering: .relaxed)
    }

    func cancel() {
        cancelled.store(true, ordering: .sequentiallyConsistent)
        task.withLock { $0 }?.cancel()
    }

    func attach(_ task: Task<Void, Never>) {
        self.task.withLock { $0 = task }
        if cancelled.load(ordering: .sequentiallyConsistent) { task.cancel() }
    }
}
