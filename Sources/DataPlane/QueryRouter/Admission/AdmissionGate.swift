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
/// Reads and writes have a gate each: a slow disk holds up writes, and searches go on. Writes are counted by shard,
/// where they are sent (``QueryRouter``). May be used from any thread.
final class AdmissionGate: Sendable {
    private struct Admission: Sendable {
        var collection: CollectionID
        var byteCount: Int
        /// Nil where calls are not counted.
        var call: ConcurrencyLimit.Admission?
    }

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

        mutating func giveBack(_ byteCount: Int, _ collection: CollectionID) {
            count -= byteCount
            let rest = (counts[collection] ?? 0) - byteCount
            counts[collection] = rest > 0 ? rest : nil
        }
    }

    /// What a call takes beside its request and its answer: its task and what it asks of shards.
    private static let callByteCount = 8 << 10

    private let kind: CallKind
    private let source: any ShardMapSource
    private let bytes = Mutex(Bytes())
    private let byteLimit: Int
    /// Nil where calls are not counted.
    private let calls: ConcurrencyLimits<CollectionID>?
    private let defaultDeadline: Duration
    private let metrics: RouterMetrics

    init(_ kind: CallKind, options: RouterOptions, source: any ShardMapSource, metrics: RouterMetrics) {
        self.kind = kind
        self.source = source
        byteLimit = options.bytesUnderWay
        let calls = kind == .reads ? ConcurrencyLimits<CollectionID>(options.readsUnderWay) : nil
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
        _ body: @escaping @Sendable () async throws -> any WireMessage
    ) {
        let map = source.current
        // One that does not exist is refused by `body`, which costs nothing.
        guard let found = map.collection(named: name), let placements = map.placements[found.id] else {
            return call.run(body)
        }
        let collection = found.id
        let byteCount =
            call.byteCount + answer.byteCount(dimension: found.configuration.dimension, shardCount: placements.count)
            + Self.callByteCount
        guard bytes.withLock({ $0.take(byteCount, collection, of: byteLimit) }) else {
            return refuse(call, name, "its requests and answers under way take as much memory as they may")
        }
        var admission = Admission(collection: collection, byteCount: byteCount)
        if let calls {
            admission.call = calls.enter(collection) { [source] in source.current.placements[$0] != nil }
            guard admission.call != nil else {
                bytes.withLock { $0.giveBack(byteCount, collection) }
                return refuse(call, name, "as many are under way as can be expected to be answered in time")
            }
        }
        call.run(ended: { [self, admission] in leave(admission, call, answer: $0) }, body)
    }

    private func refuse(_ call: ServerCall, _ name: String, _ reason: String) {
        metrics.refusedOverload(kind, of: name, reason)
        call.fail(Refusal.overloaded("\(kind.name) of collection '\(name)'", reason))
    }

    private func leave(_ admission: Admission, _ call: ServerCall, answer: any WireMessage) {
        bytes.withLock { $0.giveBack(admission.byteCount, admission.collection) }
        guard let calls, let admitted = admission.call else { return }
        let elapsed = Duration.nanoseconds((NIODeadline.now() - call.arrival).nanoseconds)
        let given =
            call.deadline.isNone
            ? defaultDeadline : .nanoseconds((call.deadline.instant - call.arrival).nanoseconds)
        let end = ConcurrencyLimit.End(Self.status(of: answer), after: elapsed, of: given, kind)
        calls.leave(admission.collection, admitted, end, took: elapsed)
    }

    /// Nil for an answer that is one: a search's that does without shards because they had too much to do is not.
    private static func status(of answer: any WireMessage) -> StatusCode? {
        if let status = answer as? WireStatus { return status.code }
        guard let missing = (answer as? SearchAnswer)?.coverage.missing else { return nil }
        return missing.contains { $0.reason == .overloaded || $0.reason == .deadlineExceeded } ? .overloaded : nil
    }
}
