package import ClusterModel
import Glibc
package import WireProtocol

/// Why a worker cannot start, or must stop. Each case reads as one sentence for the person who started it.
package enum WorkerError: Error, Sendable {
    /// The operating system refused the data folder; `code` is its `errno`.
    case folderUnusable(path: String, operation: String, code: Int32)
    /// Another process has the data folder; `process` is its id when the lock file names one.
    case folderInUse(path: String, process: Int32?)
    case newerFormat(path: String, found: UInt32, supported: UInt32)
    case corruptFile(path: String, reason: String)
    /// The files of a replica that is to go cannot be removed.
    case partitionNotRemoved(path: String, reason: String)
    /// The data belongs to cluster `own`, and a coordinator speaks for another.
    case otherCluster(path: String, own: NodeID, coordinator: NodeAddress, other: NodeID)
    /// The server could not listen; the status says where and why.
    case cannotListen(WireStatus)
}

extension WorkerError {
    /// Whether there was no room on the disk.
    var isStorageFull: Bool {
        switch self {
        case .folderUnusable(_, _, let code): code == ENOSPC || code == EDQUOT
        case .folderInUse, .newerFormat, .corruptFile, .partitionNotRemoved, .otherCluster, .cannotListen: false
        }
    }
}

extension WorkerError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .folderUnusable(let path, let operation, let code):
            "cannot \(operation) '\(path)': \(Self.text(of: code)); \(Self.advice(for: code))"
        case .folderInUse(let path, let process?):
            "the data folder '\(path)' is in use by process \(process); stop that process or choose another data folder"
        case .folderInUse(let path, nil):
            "the data folder '\(path)' is in use by another process; stop it or choose another data folder"
        case .newerFormat(let path, let found, let supported):
            "'\(path)' has format \(found), and this program reads formats up to \(supported); start a newer program"
        case .corruptFile(let path, let reason):
            "'\(path)' cannot be read: \(reason); restore the file from a backup, or start with an empty data folder"
        case .partitionNotRemoved(let path, let reason):
            "the replica in '\(path)' cannot be removed: \(reason); check the folder's permissions"
        case .otherCluster(let path, let own, let coordinator, let other):
            """
            the data folder '\(path)' belongs to cluster \(own), but the coordinator at \(coordinator) is of cluster \
            \(other); configure that cluster's coordinator, or choose another data folder
            """
        case .cannotListen(let status): status.message
        }
    }

    private static func advice(for code: Int32) -> String {
        switch code {
        case ENOSPC, EDQUOT: "free some space on its disk, or choose a data folder on another"
        case EIO: "check the disk and the kernel log"
        default: "choose a data folder that this user may write to"
        }
    }

    private static func text(of code: Int32) -> String {
        unsafe String(cString: strerror(code)).lowercased()
    }
}
