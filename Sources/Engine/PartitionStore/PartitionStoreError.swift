package import LMDB

/// What is wrong with a partition's files.
package enum PartitionStoreError: Error, Sendable {
    /// The environment failed: the disk, the folder or the file.
    case environment(LMDBError)
    /// Written by a later version of Mien.
    case newerFormat(version: UInt16, newest: UInt16)
    /// The environment holds no partition.
    case notAPartition(path: String)
    /// A record or chunk fails its checksum.
    case checksumMismatch(table: String, key: UInt64)
    /// A record or chunk does not hold what its format says.
    case malformed(table: String, reason: String)
    /// A record that another one points to is missing.
    case missing(table: String, key: UInt64)
    /// An entry is sound by itself and says something else than another one does.
    case contradiction(table: String, key: UInt64, reason: String)
}

extension PartitionStoreError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .environment(let error): "\(error)"
        case .newerFormat(let version, let newest):
            "the partition has format \(version) and this program knows formats up to \(newest); use a newer mien"
        case .notAPartition(let path): "\(path) holds an LMDB environment that is not a Mien partition"
        case .checksumMismatch(let table, let key):
            "entry \(key) of table \(table) fails its checksum; the replica must be rebuilt"
        case .malformed(let table, let reason):
            "an entry of table \(table) is malformed (\(reason)); the replica must be rebuilt"
        case .missing(let table, let key):
            "entry \(key) of table \(table) is missing; the replica must be rebuilt"
        case .contradiction(let table, let key, let reason):
            "entry \(key) of table \(table) cannot be right (\(reason)); the replica must be rebuilt"
        }
    }

    /// Whether the bytes on disk are wrong, so that the partition must not answer any more.
    package var isCorruption: Bool {
        switch self {
        case .checksumMismatch, .malformed, .missing, .contradiction: true
        case .environment(.corrupted), .environment(.truncated): true
        default: false
        }
    }
}
