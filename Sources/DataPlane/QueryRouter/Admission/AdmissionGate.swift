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
        call.run { [self] in
            do {
                let reply = try await body()
                leave(admission, call, status: nil)
                return reply
            } catch {
                leave(admission, call, status: (error as? any WireStatusConvertible)?.wireStatus.code ?? .internalError)
                throw error
            }
        }
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

    private func leave(_ admission: ConcurrencyLimit.Admission, _ call: ServerCall, status: StatusCode?) {
        let elapsed = Duration.nanoseconds((NIODeadline.now() - call.arrival).nanoseconds)
        let given =
            call.deadline.isNone
            ? defaultDeadline : .nanoseconds((call.deadline.instant - call.arrival).nanoseconds)
        let isLate = Self.isLate(status, after: elapsed, of: given)
        state.withLock { state in
            state.byteCount -= call.byteCount
            state.limit.leave(admission, isLate: isLate)
        }
    }

    /// Whether a call tells of more calls than are served.
    ///
    /// - Parameters:
    ///   - status: nil for an answer.
    ///   - given: the time that the caller gave.
    static func isLate(_ status: StatusCode?, after elapsed: Duration, of given: Duration) -> Bool {
        guard given >= leastTelling else { return false }
        return switch status {
        // Half the time is the reserve: the calls that have just been let in have more ahead of them than it had.
        case nil: elapsed * 2 >= given
        case .overloaded, .deadlineExceeded: true
        // A shard that nobody serves is no overload; one that nobody served until the time was over may be.
        default: elapsed * 10 >= given * 9
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
