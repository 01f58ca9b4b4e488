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
    ///   - age: how long ago the span began.
    package static func start(
        _ name: SpanName,
        below parent: SearchSpan? = nil,
        age: Duration = .zero
    ) -> SearchSpan {
        if InstrumentationSystem.tracer is NoOpTracer { return SearchSpan(span: nil) }
        let span = startSpan(
            name.rawValue,
            context: parent?.context ?? .current ?? .topLevel,
            ofKind: name.kind,
            at: moment(age)
        )
        return SearchSpan(span: span)
    }

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

extension SpanName {
    fileprivate var kind: SpanKind {
        switch self {
        case .search, .shardSearch: .server
        case .shardCall: .client
        case .merge, .partitionSearch: .internal
        }
    }
}
