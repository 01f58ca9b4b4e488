import Observability
import WireProtocol

/// What a coordinator says of calls that it does not take.
enum Refusal {
    /// When a refused call may come again, in milliseconds: not all at once.
    private static let pauses: ClosedRange<UInt32> = 50...150

    static func overloaded(_ what: String, _ reason: String) -> WireStatus {
        WireStatus(
            .overloaded,
            "this coordinator takes no more \(what) now: \(reason); nothing of this one was done, send it again later",
            retryAfterMilliseconds: .random(in: pauses)
        ).withoutEffect
    }
}

extension CallKind {
    /// For people and for metrics.
    var name: String {
        switch self {
        case .reads: LabelValue.reads
        case .writes: LabelValue.writes
        }
    }
}
