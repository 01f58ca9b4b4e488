package import ClusterModel
package import FaceModel
package import WireProtocol

/// A shard that did not do what was asked, with what people need to know of it.
package struct ShardFailure: Error, Hashable, Sendable {
    package let placement: ShardPlacement
    /// The one that was asked.
    package let worker: NodeID
    package let address: NodeAddress?
    package let presence: WorkerPresence?
    package var status: WireStatus
    /// Whether an attempt, this one or an earlier one, ended so that it may have been carried out.
    package internal(set) var mayHaveBeenDone = false
    /// Other replicas that were asked and failed too.
    var otherFailureCount = 0

    package init(
        placement: ShardPlacement,
        worker: NodeID,
        address: NodeAddress?,
        presence: WorkerPresence?,
        status: WireStatus
    ) {
        self.placement = placement
        self.worker = worker
        self.address = address
        self.presence = presence
        self.status = status
    }

    /// Why the shard is missing from an answer; nil when the request itself is at fault.
    package var missingReason: Coverage.MissingShard.Reason? {
        switch status.code {
        case .unavailable, .staleEpoch, .unknownReplica, .unauthenticated, .incompatibleVersion, .malformedFrame,
            .storageFull, .memoryFull:
            .unavailable
        case .internalError: .failed
        case .deadlineExceeded: .deadlineExceeded
        case .corruptPartition: .corrupt
        case .overloaded: .overloaded
        case .notYet, .cancelled, .invalidRequest, .notFound, .alreadyExists, .limitExceeded, .modelMismatch,
            .dimensionMismatch, .incompleteCoverage, .keyReused, .keyTooOld:
            nil
        }
    }

    /// Whether the shard said that it will not do what was asked, now or when it is asked again.
    var isRefusal: Bool {
        switch status.code {
        case .cancelled: false
        case .storageFull, .memoryFull: true
        default: missingReason == nil
        }
    }

    /// Whether the status says that this attempt did nothing.
    var hasNoEffect: Bool { status.hasNoEffect || (isRefusal && status.code != .keyTooOld) }

    /// Whether another replica may answer what this one does not: unless the request itself is at fault, or there is no
    /// time left.
    package var othersMayAnswer: Bool {
        switch status.code {
        case .notYet: true
        case .deadlineExceeded, .cancelled: false
        default: missingReason != nil
        }
    }

    /// What the failures of all replicas of a shard are together: what waiting helps against comes first, then what
    /// people can mend by starting a worker.
    ///
    /// - Precondition: there is one.
    package static func ofAll(_ failures: [ShardFailure]) -> ShardFailure {
        func rank(_ failure: ShardFailure) -> Int {
            switch failure.status.code {
            case .overloaded: 1
            case .deadlineExceeded: 2
            case .unavailable, .staleEpoch, .unknownReplica: 3
            default: failure.missingReason == nil ? 0 : 4
            }
        }
        var first = failures.min { rank($0) < rank($1) }!
        first.otherFailureCount = failures.count - 1
        return first
    }

    /// What is wrong, without a full stop.
    var explanation: String {
        let others =
            switch otherFailureCount {
            case 0: ""
            case 1: "; its other replica does not answer either"
            default: "; its \(otherFailureCount) other replicas do not answer either"
            }
        return ownExplanation + others
    }

    private var ownExplanation: String {
        let name = "worker \(worker)" + (address.map { " at \($0)" } ?? "")
        guard status.code == .unavailable, let presence, !presence.isLive else {
            return "\(name): \(status.message.trimmingFullStop)"
        }
        guard let silence = presence.silence else {
            return "no live worker: \(name) has not been heard of since this coordinator started"
        }
        return "no live worker: \(name) was last heard of \(silence.components.seconds) s ago"
    }
}

/// Sentences about shards that failed.
enum ShardFailureText {
    private static let listedFailures = 4

    /// "shard 1 is missing (why)" of the first failures, and how many more there are.
    static func missing(_ failures: [ShardFailure]) -> String {
        let parts = failures.prefix(listedFailures).map {
            "shard \($0.placement.shard.index) is missing (\($0.explanation))"
        }
        let rest = failures.count - parts.count
        return parts.joined(separator: ", ") + (rest > 0 ? ", and \(rest) more" : "")
    }
}

extension String {
    var trimmingFullStop: String { hasSuffix(".") ? String(dropLast()) : self }
}
