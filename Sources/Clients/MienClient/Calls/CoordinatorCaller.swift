import Synchronization
import WireProtocol
import WireTransport

/// Sends calls to the coordinators in turn, and again after failures that may pass, inside the call's time.
struct CoordinatorCaller: Sendable {
    /// Which coordinator answered last; shared by all callers of the same connections.
    private final class Preference: Sendable {
        let peer = Atomic<Int>(0)
    }

    private let peers: [PeerClient]
    private let options: MienClient.CallOptions
    private let preference: Preference

    init(peers: [PeerClient], options: MienClient.CallOptions) {
        precondition(!peers.isEmpty, "a client without a coordinator")
        self.init(peers: peers, options: options, preference: Preference())
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

    /// What came of a call, and how often it was sent: after the first time an earlier sending may have had its effect.
    struct Outcome<Reply: Sendable>: Sendable {
        var result: Result<Reply, WireStatus>
        var sendCount: Int

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
        var retryEnd: WireDeadline?
        var wait = RetryWait(peerCount: peers.count)
        var hasNoEffect = true
        while true {
            let number = preference.peer.load(ordering: .relaxed)
            var status: WireStatus
            do throws(WireStatus) {
                return Outcome(
                    result: .success(try await peers[number].call(request, deadline: deadline)),
                    sendCount: wait.failureCount + 1
                )
            } catch {
                status = error
            }
            hasNoEffect = hasNoEffect && status.hasNoEffect
            status.hasNoEffect = hasNoEffect
            let pause = wait.afterFailure(status)
            let end = retryEnd ?? WireDeadline.after(options.retryDuration)
            retryEnd = end
            let mayRetry =
                status.code.retry != .doNotRetry && status.code != .deadlineExceeded
                && pause < deadline.remaining && (pause < end.remaining || wait.failureCount < peers.count)
            guard mayRetry, (try? await Task.sleep(for: pause)) != nil else {
                return Outcome(result: .failure(status), sendCount: wait.failureCount)
            }
            preference.peer.store((number + 1) % peers.count, ordering: .relaxed)
            aging(&request, .now - began)
        }
    }
}

/// How long to wait before a call is sent again: not at all while a coordinator is untried, then 50 ms and twice as
/// long after each round, at most 2 s, with a random part so that clients do not return together.
struct RetryWait {
    private static let shortest = Duration.milliseconds(50)
    private static let longest = Duration.seconds(2)

    private let peerCount: Int
    private(set) var failureCount = 0

    init(peerCount: Int) {
        self.peerCount = peerCount
    }

    mutating func afterFailure(_ status: WireStatus) -> Duration {
        failureCount += 1
        guard failureCount % peerCount == 0 else { return .zero }
        let round = min(failureCount / peerCount - 1, 16)
        let step = min(Self.shortest * (1 << round), Self.longest)
        return max(step * Double.random(in: 0.75...1.25), .milliseconds(Int(status.retryAfterMilliseconds)))
    }
}
