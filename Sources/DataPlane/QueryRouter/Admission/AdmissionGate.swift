import FaceModel
import NIOCore
import Observability
import Synchronization
import WireProtocol
import WireTransport

/// Lets clients' calls of one kind in as long as they can be expected to be answered in time, and refuses the others at
/// once: a call that is taken and answered too late costs as much as one that is of use.
///
/// Reads and writes have a gate each: a slow disk holds up writes, and searches go on. May be used from any thread.
final class AdmissionGate: Sendable {
    enum Kind: Sendable {
        case reads
        case writes
    }

    private struct State {
        var limit: ConcurrencyLimit
        var byteCount = 0
    }

    /// A call that was given less time than this says nothing of the others when it is late.
    private static let leastTelling = Duration.milliseconds(100)
    /// When a refused call may come again, in milliseconds: not all at once.
    private static let pauses: ClosedRange<UInt32> = 50...150

    private let kind: Kind
    private let state: Mutex<State>
    private let byteLimit: Int
    private let defaultDeadline: Duration
    private let metrics: RouterMetrics

    init(_ kind: Kind, options: RouterOptions, metrics: RouterMetrics) {
        self.kind = kind
        state = Mutex(State(limit: ConcurrencyLimit(options.callsUnderWay)))
        byteLimit = options.bytesUnderWay
        defaultDeadline = options.defaultDeadline
        self.metrics = metrics
        metrics.collect { [weak self] samples in self?.collect(into: &samples) }
    }

    /// Answers the call with what `body` returns or throws, as a task on its event loop; or with `overloaded`, and
    /// `body` is not begun.
    func run(_ call: ServerCall, _ body: @escaping @Sendable () async throws -> any WireMessage) {
        guard let admission = admit(call.byteCount) else {
            metrics.refusedOverload(kind.name)
            return call.fail(refusal)
        }
        call.run(ended: { [self] in leave(admission, call, answer: $0) }, body)
    }

    private func admit(_ byteCount: Int) -> ConcurrencyLimit.Admission? {
        state.withLock { state in
            // One that is larger than the bound is taken when it is alone.
            guard state.byteCount == 0 || state.byteCount + byteCount <= byteLimit,
                let admission = state.limit.enter()
            else { return nil }
            state.byteCount += byteCount
            return admission
        }
    }

    private func leave(_ admission: ConcurrencyLimit.Admission, _ call: ServerCall, answer: any WireMessage) {
        let elapsed = Duration.nanoseconds((NIODeadline.now() - call.arrival).nanoseconds)
        let given =
            call.deadline.isNone
            ? defaultDeadline : .nanoseconds((call.deadline.instant - call.arrival).nanoseconds)
        let end = Self.end(Self.status(of: answer), after: elapsed, of: given, kind)
        state.withLock { state in
            state.byteCount -= call.byteCount
            state.limit.leave(admission, end, took: elapsed)
        }
    }

    /// Nil for an answer that is one: a search's that does without shards because they had too much to do is not.
    private static func status(of answer: any WireMessage) -> StatusCode? {
        if let status = answer as? WireStatus { return status.code }
        guard let missing = (answer as? SearchAnswer)?.coverage.missing else { return nil }
        return missing.contains { $0.reason == .overloaded || $0.reason == .deadlineExceeded } ? .overloaded : nil
    }

    /// What a call tells of whether more of them are taken than are served.
    ///
    /// - Parameters:
    ///   - status: nil for an answer.
    ///   - given: the time that the caller gave.
    /// - Returns: nil when it tells nothing.
    static func end(
        _ status: StatusCode?,
        after elapsed: Duration,
        of given: Duration,
        _ kind: Kind
    ) -> ConcurrencyLimit.End? {
        guard given >= leastTelling else { return nil }
        switch status {
        // Half the time is the reserve: the calls that have just been let in have more ahead of them than it had.
        case nil: return elapsed * 2 >= given ? .late : .inTime
        case .deadlineExceeded: return .tooLate
        // A shard's full write queue is how imports are slowed down, and no matter of other shards.
        case .overloaded: return kind == .reads ? .tooLate : nil
        // A shard that nobody serves is no overload; one that nobody served until the time was over may be.
        default: return elapsed * 10 >= given * 9 ? .tooLate : nil
        }
    }

    private var refusal: WireStatus {
        WireStatus(
            .overloaded,
            "this coordinator has as many \(kind.name) under way as it can expect to answer in time; nothing of this "
                + "one was done, send it again later",
            retryAfterMilliseconds: .random(in: Self.pauses)
        ).withoutEffect
    }

    private func collect(into samples: inout MetricSamples) {
        let limit = state.withLock { $0.limit }
        samples.add(MetricCatalogue.queueLength, kind.name, value: Double(limit.underWayCount))
        samples.add(MetricCatalogue.queueLimit, kind.name, value: Double(limit.value))
    }
}

extension AdmissionGate.Kind {
    /// For people and for metrics.
    fileprivate var name: String {
        switch self {
        case .reads: LabelValue.reads
        case .writes: LabelValue.writes
        }
    }
}
