import ClusterModel
import FaceModel
import NIOCore
import Observability
import Synchronization
import WireProtocol
import WireTransport

/// Lets clients' calls of one kind in as long as there is room for them, and reads as long as they can be expected to
/// be answered in time, and refuses the others at once: a call that is taken and answered too late costs as much as one
/// that is of use.
///
/// Reads and writes have a gate each: a slow disk holds up writes, and searches go on. So have the reads of a backup,
/// which take their time and are bounded by their bytes alone. Writes are counted by shard, where they are sent
/// (``QueryRouter``).
///
/// A call's bytes are counted until its answer has been written to the client's socket: what waits for a client that
/// does not read is memory as well. May be used from any thread.
final class AdmissionGate: Sendable {
    private struct Bytes {
        var count = 0
        /// None is zero.
        var counts: [CollectionID: Int] = [:]

        /// Whether there is room. One collection has half of it at most; what is larger is taken when it is alone.
        mutating func take(_ byteCount: Int, _ collection: CollectionID, of limit: Int) -> Bool {
            let own = counts[collection] ?? 0
            guard count == 0 || count + byteCount <= limit, own == 0 || own + byteCount <= limit / 2 else {
                return false
            }
            count += byteCount
            counts[collection] = own + byteCount
            return true
        }

        /// Whether there is room for more of a call that was let in and has so many: by the same rules.
        mutating func grow(by byteCount: Int, of held: Int, _ collection: CollectionID, limit: Int) -> Bool {
            let own = counts[collection] ?? 0
            guard count == held || count + byteCount <= limit, own == held || own + byteCount <= limit / 2 else {
                return false
            }
            change(by: byteCount, collection)
            return true
        }

        /// Whether there is room or not: a call that was let in takes so many bytes more, or fewer.
        mutating func change(by byteCount: Int, _ collection: CollectionID) {
            count += byteCount
            let own = (counts[collection] ?? 0) + byteCount
            counts[collection] = own > 0 ? own : nil
        }
    }

    /// What a call takes beside its request and its answer: its task and what it asks of shards.
    private static let callByteCount = 8 << 10

    private let kind: CallKind
    private let source: any ShardMapSource
    private let bytes = Mutex(Bytes())
    private let byteLimit: Int
    private let frameLimit: Int
    /// Nil where calls are not counted.
    private let calls: ConcurrencyLimits<CollectionID>?
    private let defaultDeadline: Duration
    private let metrics: RouterMetrics

    /// - Parameter countsCalls: whether reads are so many at once at most; writes are not counted here.
    init(
        _ kind: CallKind,
        countsCalls: Bool = true,
        options: RouterOptions,
        source: any ShardMapSource,
        metrics: RouterMetrics
    ) {
        self.kind = kind
        self.source = source
        byteLimit = options.bytesUnderWay
        frameLimit = options.frameByteLimit
        let calls = kind == .reads && countsCalls ? ConcurrencyLimits<CollectionID>(options.readsUnderWay) : nil
        self.calls = calls
        defaultDeadline = options.defaultDeadline
        self.metrics = metrics
        if let calls { metrics.collect { [weak calls] in calls?.collect(into: &$0, LabelValue.reads) } }
    }

    /// Answers the call with what `body` returns or throws, as a task on its event loop; or with `overloaded`, and
    /// `body` is not begun.
    ///
    /// - Parameters:
    ///   - name: of the collection that it is about.
    ///   - answer: what it asks for.
    func run(
        _ call: ServerCall,
        of name: String,
        _ answer: ExpectedAnswer,
        _ body: @escaping @Sendable (CallBytes?) async throws -> any WireMessage
    ) {
        let map = source.current
        // One that does not exist is refused by `body`, which costs nothing.
        guard let found = map.collection(named: name), let placements = map.placements[found.id] else {
            return call.run { try await body(nil) }
        }
        let expected = answer.byteCount(
            dimension: found.configuration.dimension,
            shardCount: placements.count,
            frameLimit: frameLimit
        )
        run(call, of: found.id, name, expected: expected, body)
    }

    /// The same of a page of a snapshot, whose collection may be gone.
    func run(
        _ call: ServerCall,
        snapshotOf id: CollectionID,
        faceCount: Int,
        _ body: @escaping @Sendable () async throws -> any WireMessage
    ) {
        let found = source.current.collections[id]
        let expected = ExpectedAnswer.snapshotPage(faceCount: faceCount).byteCount(
            dimension: found?.configuration.dimension ?? CollectionConfiguration.dimensionRange.upperBound,
            shardCount: 1,
            frameLimit: frameLimit
        )
        run(call, of: id, found?.name ?? "\(id)", expected: expected) { _ in try await body() }
    }

    private func run(
        _ call: ServerCall,
        of collection: CollectionID,
        _ name: String,
        expected: Int,
        _ body: @escaping @Sendable (CallBytes?) async throws -> any WireMessage
    ) {
        let byteCount = call.byteCount + expected + Self.callByteCount
        guard bytes.withLock({ $0.take(byteCount, collection, of: byteLimit) }) else {
            return call.fail(refusal(of: name))
        }
        let share = CallBytes(self, collection, name, byteCount: byteCount, expectedByteCount: expected)
        guard let calls else { return call.run(holding: share) { try await body(share) } }
        guard let admission = calls.enter(collection, isThere: { [source] in source.current.placements[$0] != nil })
        else {
            return refuse(call, name, "as many are under way as can be expected to be answered in time")
        }
        call.run(
            holding: share,
            ended: { [self] answer in
                let (end, elapsed) = end(of: call, by: answer)
                // What had no room says nothing of how many can be answered in time.
                calls.leave(collection, admission, share.refusal == nil ? end : nil, took: elapsed)
            }
        ) {
            try await body(share)
        }
    }

    /// Takes more bytes for a call that was let in, if there is room.
    ///
    /// - Parameter held: all that are counted for it so far.
    func grow(by byteCount: Int, of held: Int, _ collection: CollectionID) -> Bool {
        bytes.withLock { $0.grow(by: byteCount, of: held, collection, limit: byteLimit) }
    }

    func change(by byteCount: Int, _ collection: CollectionID) {
        bytes.withLock { $0.change(by: byteCount, collection) }
    }

    /// Of a call for whose bytes there is no room.
    func refusal(of name: String) -> WireStatus {
        let reason = "its requests and answers under way take as much memory as they may"
        metrics.refusedOverload(kind, of: name, reason)
        return Refusal.overloaded("\(kind.name) of collection '\(name)'", reason)
    }

    private func refuse(_ call: ServerCall, _ name: String, _ reason: String) {
        metrics.refusedOverload(kind, of: name, reason)
        call.fail(Refusal.overloaded("\(kind.name) of collection '\(name)'", reason))
    }

    private func end(of call: ServerCall, by answer: any WireMessage) -> (ConcurrencyLimit.End?, Duration) {
        let elapsed = Duration.nanoseconds((NIODeadline.now() - call.arrival).nanoseconds)
        let given =
            call.deadline.isNone
            ? defaultDeadline : .nanoseconds((call.deadline.instant - call.arrival).nanoseconds)
        return (ConcurrencyLimit.End(Self.status(of: answer), after: elapsed, of: given, kind), elapsed)
    }

    /// Nil for an answer that is one: a search's that does without shards because they had too much to do is not.
    private static func status(of answer: any WireMessage) -> StatusCode? {
        if let status = answer as? WireStatus { return status.code }
        guard let missing = (answer as? SearchAnswer)?.coverage.missing else { return nil }
        return missing.contains { $0.reason == .overloaded || $0.reason == .deadlineExceeded } ? .overloaded : nil
    }
}
