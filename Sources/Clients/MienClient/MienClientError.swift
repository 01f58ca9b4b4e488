import WireProtocol

/// Why a call has no result.
public struct MienClientError: Error, Hashable, Sendable {
    public var code: Code
    /// One sentence for people: what was wrong, where, what to do.
    public var message: String
    /// Whether nothing of the call was done, nor will be, by any of its attempts. Otherwise that is not known of a
    /// write: it may have been done, in part, or may still be.
    public var hasNoEffect: Bool

    public init(code: Code, message: String, hasNoEffect: Bool = false) {
        self.code = code
        self.message = message
        self.hasNoEffect = hasNoEffect
    }

    /// Of a call of which nothing was done, nor will be.
    static func withoutEffect(_ code: Code, _ message: String) -> MienClientError {
        MienClientError(code: code, message: message, hasNoEffect: true)
    }

    init(_ status: WireStatus) {
        self.init(code: Code(status.code), message: status.message, hasNoEffect: status.hasNoEffect)
    }

    /// The kind of a failure, for programs. More may be added.
    public struct Code: Hashable, Sendable, CustomStringConvertible {
        public let description: String

        private init(_ description: String) {
            self.description = description
        }

        /// Nobody who could answer is there now.
        public static let unavailable = Code("unavailable")
        /// A queue of the cluster is full.
        public static let overloaded = Code("overloaded")
        /// The cluster has not reached the write that the read was to see.
        public static let notYet = Code("notYet")
        public static let deadlineExceeded = Code("deadlineExceeded")
        /// The calling task was cancelled.
        public static let cancelled = Code("cancelled")
        public static let invalidRequest = Code("invalidRequest")
        public static let notFound = Code("notFound")
        public static let alreadyExists = Code("alreadyExists")
        /// The token or the certificate is not accepted.
        public static let unauthenticated = Code("unauthenticated")
        /// Client and cluster have no protocol version in common; or the cluster is of an earlier version, which would
        /// not look at what the request must not be done without.
        public static let incompatibleVersion = Code("incompatibleVersion")
        public static let limitExceeded = Code("limitExceeded")
        /// The embeddings are of another model than the collection's.
        public static let modelMismatch = Code("modelMismatch")
        public static let dimensionMismatch = Code("dimensionMismatch")
        /// The answer would cover less of the collection than was required.
        public static let incompleteCoverage = Code("incompleteCoverage")
        /// Stored data failed a check and is out of service.
        public static let corruptData = Code("corruptData")
        public static let storageFull = Code("storageFull")
        /// The idempotency key was used before, for another write.
        public static let keyReused = Code("keyReused")
        /// The write may have been done by an earlier attempt, so long ago that nobody remembers.
        public static let keyTooOld = Code("keyTooOld")
        /// A worker holds as much memory as it may; writes that bring no faces go on.
        public static let memoryFull = Code("memoryFull")
        /// A defect in the cluster or the client.
        public static let internalError = Code("internalError")

        init(_ code: StatusCode) {
            switch code {
            case .unavailable, .staleEpoch, .unknownReplica: self = .unavailable
            case .overloaded: self = .overloaded
            case .notYet: self = .notYet
            case .deadlineExceeded: self = .deadlineExceeded
            case .cancelled: self = .cancelled
            case .invalidRequest: self = .invalidRequest
            case .notFound: self = .notFound
            case .alreadyExists: self = .alreadyExists
            case .unauthenticated: self = .unauthenticated
            case .incompatibleVersion: self = .incompatibleVersion
            case .limitExceeded: self = .limitExceeded
            case .modelMismatch: self = .modelMismatch
            case .dimensionMismatch: self = .dimensionMismatch
            case .incompleteCoverage: self = .incompleteCoverage
            case .corruptPartition: self = .corruptData
            case .storageFull: self = .storageFull
            case .keyReused: self = .keyReused
            case .keyTooOld: self = .keyTooOld
            case .memoryFull: self = .memoryFull
            case .malformedFrame, .internalError: self = .internalError
            }
        }
    }
}

extension MienClientError: CustomStringConvertible {
    public var description: String { "\(code): \(message)" }
}
