import Synchronization
import WireProtocol
import WireTransport

/// Sends calls to the coordinators in turn, and again after failures that may pass, inside the call's time.
struct CoordinatorCaller: Sendable {
    /// Which coordinator answered last; shared by all callers of the same connections.
    private final class Preference: Sendable {
        let peer = Atomic<Int>(0)
    }

    /// Calls of one caller that were sent more than once.
    private final class ResendTally: Sendable {
        let calls = Atomic<Int>(0)
        let sendings = Atomic<Int>(0)
    }

    private let peers: [PeerClient]
    private let options: MienClient.CallOptions
    private let preference: Preference
    private let tally = ResendTally()

    init(peers: [PeerClient], options: MienClient.CallOptions) {
        precondition(!peers.isEmpty, "a client without a coordinator")
        self.init(peers: peers, options: options, preference: Preference())
    }

    var resends: MienClient.Resends {
        MienClient.Resends(
            callCount: tally.calls.load(ordering: .relaxed),
            sendingCount: tally.sendings.load(ordering: .relaxed)
        )
    }

    private init(peers: [PeerClient], options: MienClient.CallOptions, preference: Preference) {
        self.peers = peers
        self.options = options
        self.preference = preference
    }

    func with(_ options: MienClient.CallOptions) -> CoordinatorCaller {
        CoordinatorCaller(peers: peers, options: options, preference: preference)
    }

    func close() async {
        for peer in peers { await peer.close() }
    }

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
        // Each of them in turn, wherever other calls are.
        var number = preference.peer.load(ordering: .relaxed)
        while true {
            let status: WireStatus
            do throws(WireStatus) {
                let reply = try await peers[number].call(request, deadline: deadline)
                return Outcome(result: .success(reply), mayHaveBeenDone: attempts.mayHaveBeenDone)
            } catch {
                status = error
            }
            let (sendCount, mayHaveBeenDone) = (attempts.sendCount, attempts.mayHaveBeenDone)
            let decision = attempts.next(
                after: status,
                elapsed: .now - began,
                spread: .random(in: CallAttempts.spread)
            )
            switch decision {
            case .fail(let status): return Outcome(result: .failure(status), mayHaveBeenDone: mayHaveBeenDone)
            case .again(let pause):
                guard (try? await Task.sleep(for: pause)) != nil else {
                    return Outcome(
                        result: .failure(attempts.ended(by: status)),
                        mayHaveBeenDone: mayHaveBeenDone
                    )
                }
            }
            number = (number + 1) % peers.count
            preference.peer.store(number, ordering: .relaxed)
            if sendCount == 1 { tally.calls.add(1, ordering: .relaxed) }
            tally.sendings.add(1, ordering: .relaxed)
            aging(&request, .now - began)
        }
    }
}
