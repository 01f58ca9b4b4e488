import Tracing

/// A span along a search, or nothing where no tracer is bootstrapped: then it costs one look for a tracer.
///
/// Spans are passed along as values, not by task: a search changes threads where no task does.
package struct SearchSpan: Sendable {
    private let span: (any Span)?

    /// Of spans that are below this one.
    private var context: InstrumentationContext { span?.context ?? .topLevel }

    /// Whether anybody traces; attributes need not be made where nobody does.
    package var isRecording: Bool { span?.isRecording ?? false }

    /// - Parameters:
    ///   - parent: nil for the task's own context, if it has one.
    ///   - traceparent: of a span in another process, which is the parent then.
    ///   - age: how long ago the span began.
    package static func start(
        _ name: SpanName,
        below parent: SearchSpan? = nil,
        continuing traceparent: String? = nil,
        age: Duration = .zero
    ) -> SearchSpan {
        if InstrumentationSystem.tracer is NoOpTracer { return SearchSpan(span: nil) }
        let context = parent?.context ?? traceparent.map(Self.context(continuing:)) ?? .current ?? .topLevel
        let span = startSpan(
            name.rawValue,
            context: context,
            ofKind: name.kind,
            at: moment(age)
        )
        return SearchSpan(span: span)
    }

    // MARK: Between processes

    private static let traceparentKey = "traceparent"

    /// What another process continues the trace of this task by, as the tracer writes it; nil where nobody traces.
    package static var currentTraceparent: String? {
        guard let context = InstrumentationContext.current, !(InstrumentationSystem.tracer is NoOpTracer) else {
            return nil
        }
        var carrier: [String: String] = [:]
        InstrumentationSystem.instrument.inject(context, into: &carrier, using: TraceCarrier())
        return carrier[traceparentKey]
    }

    /// Runs `body` as a part of a trace of another process.
    package static func continuing(_ traceparent: String?, _ body: () async -> Void) async {
        guard let traceparent, !(InstrumentationSystem.tracer is NoOpTracer) else { return await body() }
        await InstrumentationContext.withValue(context(continuing: traceparent)) { await body() }
    }

    private static func context(continuing traceparent: String) -> InstrumentationContext {
        var context = InstrumentationContext.topLevel
        InstrumentationSystem.instrument.extract(
            [traceparentKey: traceparent],
            into: &context,
            using: TraceCarrier()
        )
        return context
    }

    /// Runs `body` with the span as its task's own, so that what it calls elsewhere is below it.
    package func asCurrent<Value>(_ body: () async -> Value) async -> Value {
        guard isRecording else { return await body() }
        return await InstrumentationContext.withValue(context) { await body() }
    }

    // MARK: Figures

    package func set(_ attribute: SearchSpanAttribute, _ value: Int) {
        span?.attributes[attribute.rawValue] = Int64(value)
    }

    package func set(_ attribute: SearchSpanAttribute, _ value: String) {
        span?.attributes[attribute.rawValue] = value
    }

    /// Ends the span as failed, with the name of a status code; never with a message, which may name what it is about.
    package func fail(_ status: String) {
        set(.status, status)
        span?.setStatus(SpanStatus(code: .error))
        end()
    }

    /// - Parameter age: how long ago it ended.
    package func end(age: Duration = .zero) {
        span?.end(at: Self.moment(age))
    }

    private static func moment(_ age: Duration) -> DefaultTracerClock.Timestamp {
        let now = DefaultTracerClock.now
        let nanoseconds = UInt64(clamping: max(0, age.wholeNanoseconds))
        return .init(nanosecondsSinceEpoch: now.nanosecondsSinceEpoch - min(nanoseconds, now.nanosecondsSinceEpoch))
    }
}

/// Reads and writes the headers of a trace.
private struct TraceCarrier: Injector, Extractor {
    func inject(_ value: String, forKey key: String, into carrier: inout [String: String]) { carrier[key] = value }

    func extract(key: String, from carrier: [String: String]) -> String? { carrier[key] }
}

extension SpanName {
    fileprivate var kind: SpanKind {
        switch self {
        case .search, .shardSearch: .server
        case .shardCall: .client
        case .merge, .partitionSearch: .internal
        }
    }
}
