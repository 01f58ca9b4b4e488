import ClusterModel
import FaceModel
import Synchronization
import WireProtocol

/// Changes of groups that replicas have asked for and that wait to be committed.
///
/// When a worker dies, the primaries of many shards of one collection ask at once, and their groups lie in one record:
/// what waits is committed together.
final class ProposalQueue: Sendable {
    struct Entry: Sendable {
        var request: ProposeGroup
        let end: CheckedContinuation<Result<Void, WireStatus>, Never>
    }

    private struct State {
        var waiting: [Entry] = []
        var isClosed = false
    }

    private static let closedStatus = WireStatus(.unavailable, "The coordinator is stopping; ask another.")

    private let state = Mutex(State())
    private let news: AsyncStream<Void>
    private let notify: AsyncStream<Void>.Continuation

    init() {
        (news, notify) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
    }

    /// Returns when the change has been tried.
    func submit(_ request: ProposeGroup) async throws(WireStatus) {
        let result: Result<Void, WireStatus> = await withCheckedContinuation { end in
            let isClosed = state.withLock { state in
                if !state.isClosed { state.waiting.append(Entry(request: request, end: end)) }
                return state.isClosed
            }
            if isClosed { end.resume(returning: .failure(Self.closedStatus)) } else { notify.yield() }
        }
        try result.get()
    }

    /// Gives all that waits to the body, again and again until cancelled; whoever comes later is refused.
    func serve(_ body: ([CollectionID: [ProposeGroup]]) async -> [CollectionID: WireStatus]) async {
        for await _ in news {
            let entries = state.withLock { state in
                defer { state.waiting = [] }
                return state.waiting
            }
            guard !entries.isEmpty else { continue }
            let failures = await body(Dictionary(grouping: entries.map(\.request), by: \.shard.collection))
            for entry in entries {
                let failure = failures[entry.request.shard.collection]
                entry.end.resume(returning: failure.map { .failure($0) } ?? .success(()))
            }
        }
        let left = state.withLock { state in
            state.isClosed = true
            defer { state.waiting = [] }
            return state.waiting
        }
        for entry in left { entry.end.resume(returning: .failure(Self.closedStatus)) }
    }
}
