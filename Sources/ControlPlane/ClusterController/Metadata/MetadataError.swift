package import ClusterModel
package import WireProtocol

/// Why the metadata store could not do what was asked.
package enum MetadataError: Error, Hashable, Sendable {
    /// A condition of the commit did not hold: somebody changed the record first.
    case conflict(key: String)
    /// A stored record cannot be read.
    case corrupt(key: String, reason: String)
    /// A stored record is of a layout or a kind that only a later version knows.
    case newerRecord(key: String, reason: String)
    case valueTooLong(key: String, byteCount: Int, limit: Int)
    /// The folder was written by a newer version.
    case newerFormat(path: String, found: UInt32, supported: UInt32)
    /// The store cannot be used as it was asked to be, whenever one tries; the reason is a sentence.
    case unusable(reason: String)
    /// The store holds the records of another cluster than the coordinator belongs to; nil: of none.
    case otherCluster(expected: NodeID, found: NodeID?)
    /// The folder's coordinator has its metadata in etcd.
    case recordsElsewhere(path: String)
    /// The folder holds the metadata itself, which would be left behind.
    case recordsHere(path: String)
    /// Nothing was changed; the reason is a sentence.
    case unavailable(reason: String)
    /// The commit may or may not have happened; the reason is a sentence.
    case outcomeUnknown(reason: String)

    /// Whether the store holds what cannot be read here, so that reading it again does not help until it is changed.
    package var isOfRecord: Bool {
        switch self {
        case .corrupt, .newerRecord: true
        default: false
        }
    }
}

extension MetadataError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .conflict(let key): "The metadata record '\(key)' was changed by somebody else meanwhile; try again."
        case .corrupt(let key, let reason):
            "The metadata record '\(key)' cannot be read (\(reason)); put the metadata back from a copy: the "
                + "coordinator's data folder, or where it is in etcd, etcd's snapshot."
        case .newerRecord(let key, let reason):
            "The metadata record '\(key)' was written by a newer mien (\(reason)); nothing is damaged: start that one "
                + "here, too."
        case .valueTooLong(let key, let byteCount, let limit):
            "The metadata record '\(key)' would have \(byteCount) bytes, more than the limit of \(limit)."
        case .newerFormat(let path, let found, let supported):
            "The data folder \(path) has format \(found), but this version reads formats up to \(supported); "
                + "use the newer version that wrote it."
        case .otherCluster(let expected, let found):
            "The data folder belongs to cluster \(expected), but the metadata store holds "
                + (found.map { "cluster \($0)" } ?? "no cluster")
                + "; point coordinator.etcd to that cluster's records, or give the coordinator an empty data folder."
        case .recordsElsewhere(let path):
            "The data folder \(path) belongs to a coordinator whose metadata is in etcd; set coordinator.metadata to "
                + "etcd, or give the coordinator another folder."
        case .recordsHere(let path):
            "The data folder \(path) holds the metadata of its cluster; bring it to etcd with 'mien metadata migrate', "
                + "or give the coordinator another folder."
        case .unavailable(let reason), .unusable(let reason): "The cluster's metadata cannot be used: \(reason)"
        case .outcomeUnknown(let reason): "It is not known whether the cluster's metadata was changed: \(reason)"
        }
    }
}

extension MetadataError: WireStatusConvertible {
    package var wireStatus: WireStatus {
        switch self {
        // Of several coordinators another can do it, which knows the record.
        case .conflict, .unavailable, .outcomeUnknown, .newerRecord: WireStatus(.unavailable, description)
        case .valueTooLong: WireStatus(.limitExceeded, description)
        case .corrupt, .newerFormat, .otherCluster, .recordsElsewhere, .recordsHere, .unusable:
            WireStatus(.internalError, description)
        }
    }
}
