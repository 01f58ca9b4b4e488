import ClusterModel
import Synchronization
import WireProtocol
import WireTransport

/// Stands before a worker, and spoils what a primary sends it as a network does.
final class CopyRelay: RequestHandler {
    /// What becomes of a slice.
    enum Fate {
        case passes
        case isLost
        /// It arrives, and nobody hears of it.
        case losesItsAnswer
        /// So that this attempt at the copy ends.
        case endsTheAttempt
        case isFlipped
        /// As by a disk that fails.
        case isRefused
        /// With all of its copy, the first time: the worker has nothing of it then.
        case isForgotten
    }

    struct Slice {
        var copy: UInt64
        var offset: UInt64
        var byteCount: Int
        var totalByteCount: UInt64
    }

    private struct State {
        var slices: [Slice] = []
        var offers: [OfferCopy] = []
        var client: (address: NodeAddress, client: PeerClient)?
        /// Of which the worker is said to have nothing.
        var forgotten: UInt64?
    }

    private let address: @Sendable () -> NodeAddress?
    /// By the number of the slice, from 0, and where it begins.
    private let fate: @Sendable (Int, Slice) -> Fate
    private let state = Mutex(State())

    init(
        to address: @escaping @Sendable () -> NodeAddress?,
        fate: @escaping @Sendable (Int, Slice) -> Fate
    ) {
        self.address = address
        self.fate = fate
    }

    /// All that were sent.
    var slices: [Slice] { state.withLock(\.slices) }
    var offers: [OfferCopy] { state.withLock(\.offers) }
    /// Names of the copies, in order, each once.
    var copies: [UInt64] { slices.map(\.copy).reduce(into: []) { if $0.last != $1 { $0.append($1) } } }

    func close() async { await state.withLock { $0.client?.client }?.close() }

    func handle(_ request: Request, call: ServerCall) {
        switch request {
        case .appendEntries(let request): Task { await pass(request, call) }
        case .offerCopy(let request):
            let isForgotten = state.withLock { state in
                state.offers.append(request)
                return state.forgotten == request.copy
            }
            if isForgotten { return call.reply(CopyStanding(receivedByteCount: 0)) }
            Task { await pass(request, call) }
        case .partitionSlice(let request): Task { await spoil(request, call) }
        default: call.fail(WireStatus(.invalidRequest, "unexpected"))
        }
    }

    private func spoil(_ request: PartitionSlice, _ call: ServerCall) async {
        let slice = Slice(
            copy: request.copy,
            offset: request.offset,
            byteCount: request.bytes.count,
            totalByteCount: request.totalByteCount
        )
        let number = state.withLock { state in
            state.slices.append(slice)
            return state.slices.count - 1
        }
        switch fate(number, slice) {
        case .passes: await pass(request, call)
        case .isLost: call.fail(WireStatus(.unavailable, "the slice is lost"))
        case .losesItsAnswer:
            _ = await answer(to: request)
            call.fail(WireStatus(.unavailable, "the answer is lost"))
        case .endsTheAttempt: call.fail(WireStatus(.unknownReplica, "the attempt ends"))
        case .isRefused: call.fail(WireStatus(.internalError, "the disk fails"))
        case .isForgotten:
            let isFirst = state.withLock { state in
                guard state.forgotten == nil else { return false }
                state.forgotten = request.copy
                return true
            }
            guard isFirst else { return await pass(request, call) }
            call.fail(WireStatus(.unavailable, "it cannot be opened"))
        case .isFlipped:
            var request = request
            request.bytes[request.bytes.count / 2] ^= 0x40
            await pass(request, call)
        }
    }

    private func pass<R: WireRequest>(_ request: R, _ call: ServerCall) async {
        switch await answer(to: request) {
        case .success(let reply): call.reply(reply)
        case .failure(let status): call.fail(status)
        }
    }

    private func answer<R: WireRequest>(to request: R) async -> Result<R.Reply, WireStatus> {
        guard let client = client() else { return .failure(WireStatus(.unavailable, "the worker is not there")) }
        do throws(WireStatus) {
            return .success(try await client.call(request, deadline: .after(.seconds(5))))
        } catch {
            return .failure(error)
        }
    }

    private func client() -> PeerClient? {
        guard let address = address() else { return nil }
        let (client, outdated) = state.withLock { state -> (PeerClient, PeerClient?) in
            if let known = state.client, known.address == address { return (known.client, nil) }
            let client = WorkerHarness.peer(of: address, role: .worker)
            defer { state.client = (address, client) }
            return (client, state.client?.client)
        }
        if let outdated { Task { await outdated.close() } }
        return client
    }
}
