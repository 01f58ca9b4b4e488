package import WireProtocol

package enum CallKind: Sendable {
    case reads
    case writes
}

extension ConcurrencyLimit.End {
    /// A call that was given less time than this says nothing of the others when it is late.
    private static let leastTelling = Duration.milliseconds(100)

    /// What a call tells of whether more of them are taken than are served; nil when it tells nothing.
    ///
    /// - Parameters:
    ///   - status: nil for an answer.
    ///   - given: the time that the caller gave.
    package init?(_ status: StatusCode?, after elapsed: Duration, of given: Duration, _ kind: CallKind) {
        guard given >= Self.leastTelling else { return nil }
        switch status {
        // Half the time is the reserve: the calls that have just been let in have more ahead of them than it had.
        case nil: self = elapsed * 2 >= given ? .late : .inTime
        case .deadlineExceeded: self = .tooLate
        case .overloaded where kind == .reads: self = .tooLate
        // A full write queue is how imports are slowed down.
        case .overloaded: return nil
        // What nobody serves is no overload; what nobody served until the time was over may be.
        default:
            guard elapsed * 10 >= given * 9 else { return nil }
            self = .tooLate
        }
    }
}
