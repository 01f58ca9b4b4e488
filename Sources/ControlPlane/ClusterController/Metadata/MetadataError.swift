package import WireProtocol

/// Why the metadata store could not do what was asked.
package enum MetadataError: Error, Hashable, Sendable {
    /// A condition of the commit did not hold: somebody changed the record first.
    case conflict(key: String)
    /// A stored record cannot be read.
    case corrupt(key: String, reason: String)
    case valueTooLong(key: String, byteCount: Int, limit: Int)
    /// The folder was written by a newer version.
    case newerFormat(path: String, found: UInt32, supported: UInt32)
    /// Nothing was changed; the reason is a sentence.
    case unavailable(reason: String)
    /// The commit may or may not have happened; the reason is a sentence.
    case outcomeUnknown(reason: String)
}

extension MetadataError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .conflict(let key): "The metadata record '\(key)' was changed by somebody else meanwhile; try again."
        case .corrupt(let key, let reason):
            "The metadata record '\(key)' cannot be read (\(reason)); restore the coordinator's data folder from a "
                + "copy."
        case .valueTooLong(let key, let byteCount, let limit):
            "The metadata record '\(key)' would have \(byteCount) bytes, more than the limit of \(limit)."
        case .newerFormat(let path, let found, let supported):
            "The data folder \(path) has format \(found), but this version reads formats up to \(supported); "
                + "use the newer version that wrote it."
        case .unavailable(let reason): "The cluster's metadata cannot be used: \(reason)"
        case .outcomeUnknown(let reason): "It is not known whether the cluster's metadata was changed: \(reason)"
        }
    }
}

extension MetadataError: WireStatusConvertible {
    package var wireStatus: WireStatus {
        switch self {
        case .conflict, .unavailable, .outcomeUnknown: WireStatus(.unavailable, description)
        case .valueTooLong: WireStatus(.limitExceeded, description)
        case .corrupt, .newerFormat: WireStatus(.internalError, description)
        }
    }
}
