/// What a caller may do after a status: the one axis on which every error lies.
package enum RetryAdvice: UInt8, CaseIterable, Sendable {
    /// The same call may succeed, here or at another replica, after `retryAfterMilliseconds`.
    case retryThisCall = 1
    /// The caller's view of the cluster is old: renew it, then call again.
    case refreshAndRetry = 2
    /// The same call will fail again, or whether it is to be made again is for the caller to decide.
    case doNotRetry = 3
}

/// The outcome of a call that has no reply. Numbers are the wire's.
package enum StatusCode: UInt16, CaseIterable, Sendable {
    /// Nobody who could answer is there now.
    case unavailable = 1
    /// A queue is full; the status says when to try again.
    case overloaded = 2
    /// The replica has not reached the sequence that the consistency token asks for.
    case notYet = 3
    case deadlineExceeded = 4
    /// The caller ended the call.
    case cancelled = 5

    /// The request was routed by an older shard map than the worker's.
    case staleEpoch = 16
    /// The worker does not hold the replica.
    case unknownReplica = 17

    case invalidRequest = 32
    case notFound = 33
    case alreadyExists = 34
    case unauthenticated = 35
    case incompatibleVersion = 36
    case limitExceeded = 37
    /// The embeddings are of another model than the collection's.
    case modelMismatch = 38
    case dimensionMismatch = 39
    /// The answer would cover less than was required. It need not be so when the shards are back, or with more time.
    case incompleteCoverage = 40
    case corruptPartition = 41
    case storageFull = 42
    /// The connection's bytes cannot be read as frames; it is closed.
    case malformedFrame = 43
    case internalError = 44
    /// The idempotency key was used before, for another write.
    case keyReused = 45
    /// The worker holds as much memory as it may; nothing was done.
    case memoryFull = 46
    /// The write may have been done under this key before, so long ago that nobody remembers.
    case keyTooOld = 47

    package var retry: RetryAdvice {
        switch self {
        case .unavailable, .overloaded, .notYet, .deadlineExceeded, .memoryFull: .retryThisCall
        case .staleEpoch, .unknownReplica: .refreshAndRetry
        case .cancelled, .invalidRequest, .notFound, .alreadyExists, .unauthenticated, .incompatibleVersion,
            .limitExceeded, .modelMismatch, .dimensionMismatch, .incompleteCoverage, .corruptPartition, .storageFull,
            .malformedFrame, .internalError, .keyReused, .keyTooOld:
            .doNotRetry
        }
    }

    /// What to make of a newer peer's code that this build does not know: the mildest code of the same advice.
    init(standingFor advice: RetryAdvice) {
        self =
            switch advice {
            case .retryThisCall: .unavailable
            case .refreshAndRetry: .staleEpoch
            case .doNotRetry: .internalError
            }
    }
}
