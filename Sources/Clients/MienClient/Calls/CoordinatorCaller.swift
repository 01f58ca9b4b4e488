import Synchronization
import WireProtocol
import WireTransport

/// Sends calls to the coordinators in turn, and again after failures that may pass, inside the call's time.
struct CoordinatorCaller: Sendable {
    /// What all callers of the same connections share.
    private final class Shared: Sendable {
        /// The coordinator that calls begin at.
        let preference = Atomic<Int>(0)
        let isClosed = Atomic<Bool>(false)

        /// Later calls begin at another coordinator than the one that failed, if nobody has seen to that yet.
        func pass(from number: Int, to next: Int) {
            _ = preference.compareExchange(expected: number, desired: next, ordering: .relaxed)
        }
    }

    /// Calls of one caller that were sent more than once.
    private final class ResendTally: Sendable {
        let calls = Atomic<Int>(0)
        let sendings = Atomic<Int>(0)
    }

    private let peers: [PeerClient]
    private let options: MienClient.CallOptions
    private let shared: Shared
    private let tally = ResendTally()

    init(peers: [PeerClient], options: MienClient.CallOptions) {
        precondition(!peers.isEmpty, "a client without a coordinator")
        self.init(peers: peers, options: options, shared: Shared())
    }

    var resends: MienClient.Resends {
        MienClient.Resends(
            callCount: tally.calls.load(ordering: .relaxed),
            sendingCount: tally.sendings.load(ordering: .relaxed)
        )
    }

    private init(peers: [PeerClient], options: MienClient.CallOptions, shared: Shared) {
        self.peers = peers
        self.options = options
        self.shared = shared
    }

    func with(_ options: MienClient.CallOptions) -> CoordinatorCaller {
        CoordinatorCaller(peers: peers, options: options, shared: shared)
    }

    func close() async {
        shared.isClosed.store(true, ordering: .releasing)
        for peer in peers { await peer.close() }
    }

    private var isClosed: Bool { shared.isClosed.load(ordering: .acquiring) }
    private static let closed = WireStatus(.unavailable, "the client was closed")

    /// The reply to a request that may be sent more than once.
    func call<R: WireRequest>(_ request: R) async throws(MienClientError) -> R.Reply {
        try await callCounting(request).get()
    }

    /// The reply to a write, which is told how old it is when it is sent again.
    func call<R: WireRequest>(
        _ request: R,
        aging: (inout R, Duration) -> Void
    ) async throws(MienClientError) -> R.Reply {
        try await callCounting(request, aging: aging).get()
    }

    /// What came of a call.
    struct Outcome<Reply: Sendable>: Sendable {
        var result: Result<Reply, WireStatus>
        /// Whether a sending before the last may have had its effect.
        var mayHaveBeenDone: Bool

        func get() throws(MienClientError) -> Reply {
            switch result {
            case .success(let reply): return reply
            case .failure(let status): throw MienClientError(status)
            }
        }
    }

    /// - Parameter aging: is told the time since the first attempt, before each later one.
    func callCounting<R: WireRequest>(
        _ request: R,
        aging: (inout R, Duration) -> Void = { _, _ in }
    ) async -> Outcome<R.Reply> {
        var request = request
        let began = ContinuousClock.now
        let deadline = WireDeadline.after(options.timeout)
        var attempts = CallAttempts(
            peerCount: peers.count,
            timeout: options.timeout,
            retryDuration: options.retryDuration
        )
        if isClosed { return Outcome(result: .failure(attempts.ended(by: Self.closed)), mayHaveBeenDone: false) }
        // Each of them in turn, wherever other calls are.
        var number = shared.preference.load(ordering: .relaxed)
        while true {
            let connectTime = attempts.connectTime(elapsed: .now - began)
            let failure: WireStatus
            do throws(WireStatus) {
                let reply = try await peers[number].call(
                    request,
                    deadline: deadline,
                    connectingBy: connectTime.map { WireDeadline.after($0) } ?? WireDeadline.none
                )
                return Outcome(result: .success(reply), mayHaveBeenDone: attempts.mayHaveBeenDone)
            } catch {
                failure = error
            }
            let (sendCount, mayHaveBeenDone) = (attempts.sendCount, attempts.mayHaveBeenDone)
            let decision = attempts.next(
                after: failure,
                elapsed: .now - began,
                spread: .random(in: CallAttempts.spread)
            )
            switch decision {
            case .fail(let status):
                passOn(from: number, after: failure)
                return Outcome(result: .failure(status), mayHaveBeenDone: mayHaveBeenDone)
            case .again(let pause):
                var isCancelled = false
                if !isClosed { isCancelled = (try? await Task.sleep(for: pause)) == nil }
                if isCancelled || isClosed {
                    return Outcome(
                        result: .failure(attempts.ended(by: isCancelled ? failure : Self.closed)),
                        mayHaveBeenDone: mayHaveBeenDone
                    )
                }
            }
            let next = (number + 1) % peers.count
            shared.pass(from: number, to: next)
            number = next
            if sendCount == 1 { tally.calls.add(1, ordering: .relaxed) }
            tally.sendings.add(1, ordering: .relaxed)
            aging(&request, .now - began)
        }
    }

    /// Has later calls begin at another coordinator where a call's time passed with this one, or its caller would wait
    /// no longer. Where there is a connection the cluster may only be slow: then none takes its place that could not be
    /// reached when that was last tried, until half a minute has passed since.
    private func passOn(from number: Int, after failure: WireStatus) {
        let isConnected = peers[number].isConnected
        guard failure.code == .deadlineExceeded || (failure.code == .cancelled && !isConnected) else { return }
        let others = (1..<peers.count).map { (number + $0) % peers.count }
        guard let next = others.first(where: { !isConnected || !peers[$0].hasFailed }) else { return }
        shared.pass(from: number, to: next)
    }
}
