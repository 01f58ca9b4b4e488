import ClusterModel
import FaceModel
import Glibc
import Synchronization

/// A worker's data folder: who the worker is, which cluster its data belongs to, and where everything lies.
///
/// ```
/// lock                                   held while a process uses the folder; names its process id
/// worker                                 identity: node, and the cluster once joined
/// replicas/<collection>/<shard>/record   epoch and range; its presence is what makes the replica exist
/// replicas/<collection>/<shard>/partition/
/// replicas/<collection>/<shard>/successor  in place of `record`: a shard that is whole and may take others' place
/// codebooks/<collection>/<generation>    codebooks trained here
/// snapshots/                             what backups are made from; emptied at every start
/// ```
/// The lock is an open file description's (`flock`), so it ends with the process however that ends.
final class DataFolder: Sendable {
    static let identityKind = "mien-worker"
    static let format: UInt32 = 1

    let path: String
    let node: NodeID
    /// Descriptor of the lock; nil once given up.
    private let lockFile: Mutex<Int32?>
    private let joinedCluster: Mutex<NodeID?>

    /// Makes the folder if it is missing, locks it, and reads or makes the worker's identity.
    init(opening path: String) throws(WorkerError) {
        self.path = path
        try DurableFile.makeDirectory(path)
        let lockFile = try Self.lock(path)
        do throws(WorkerError) {
            let identityPath = path + "/worker"
            let identity: (node: NodeID, cluster: NodeID?)
            if let bytes = try DurableFile.read(identityPath, limit: RecordText.byteLimit) {
                identity = try Self.identity(decoding: bytes, path: identityPath)
            } else {
                identity = (NodeID.random(), nil)
                try Self.write(node: identity.node, cluster: nil, to: identityPath)
            }
            node = identity.node
            joinedCluster = Mutex(identity.cluster)
            try DurableFile.makeDirectory(path + "/replicas")
            try DurableFile.makeDirectory(path + "/codebooks")
            // Whoever wrote what is here may have been killed before the names were on the disk.
            try DurableFile.syncDirectory(path)
        } catch {
            close(lockFile)
            throw error
        }
        self.lockFile = Mutex(lockFile)
    }

    deinit {
        unlock()
    }

    /// Lets another process use the folder. Everything in it must be closed by then. Safe to call again.
    func unlock() {
        lockFile.withLock { lockFile in
            if let file = lockFile { close(file) }
            lockFile = nil
        }
    }

    /// The cluster whose data this is; nil before the first coordinator answered.
    var cluster: NodeID? { joinedCluster.withLock(\.self) }

    /// Joins `cluster` durably, or checks that it is the one joined before.
    ///
    /// - Parameter coordinator: who said so, for the error.
    func join(_ cluster: NodeID, toldBy coordinator: NodeAddress) throws(WorkerError) {
        try joinedCluster.withLock { (joined) throws(WorkerError) in
            if let joined {
                guard joined == cluster else {
                    throw .otherCluster(path: path, own: joined, coordinator: coordinator, other: cluster)
                }
                return
            }
            try Self.write(node: node, cluster: cluster, to: path + "/worker")
            joined = cluster
        }
    }

    /// Folder of one replica.
    func replicaPath(_ shard: ShardID) -> String {
        "\(path)/replicas/\(shard.collection)/\(shard.index)"
    }

    /// Folder of a collection's codebooks that were trained here.
    func codebooksPath(_ collection: CollectionID) -> String {
        "\(path)/codebooks/\(collection)"
    }

    /// Folder of the snapshots that backups are made from.
    var snapshotsPath: String { path + "/snapshots" }

    /// Every shard that has a folder, complete or not, in order. The names of their folders are on the disk then, even
    /// if a process was killed that had just made them: what is acknowledged next rests on them.
    func shardsOnDisk() throws(WorkerError) -> [ShardID] {
        var shards: [ShardID] = []
        try DurableFile.syncDirectory(path + "/replicas")
        for name in try DurableFile.names(in: path + "/replicas") {
            guard let collection = CollectionID(name) else { continue }
            try DurableFile.syncDirectory("\(path)/replicas/\(name)")
            for index in try DurableFile.names(in: "\(path)/replicas/\(name)").compactMap({ UInt32($0) }) {
                shards.append(ShardID(collection: collection, index: index))
            }
        }
        return shards.sorted()
    }

    /// Bytes that a user without privileges may still write to the folder's file system; `.max` when it does not say.
    func freeByteCount() -> UInt64 {
        var status = statvfs()
        guard unsafe statvfs(path, &status) == 0 else { return .max }
        let (count, overflow) = UInt64(status.f_bavail).multipliedReportingOverflow(by: UInt64(status.f_frsize))
        return overflow ? .max : count
    }

    private static func lock(_ path: String) throws(WorkerError) -> Int32 {
        let lockPath = path + "/lock"
        let file = unsafe open(lockPath, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .folderUnusable(path: lockPath, operation: "open", code: errno) }
        guard flock(file, LOCK_EX | LOCK_NB) == 0 else {
            let code = errno
            defer { close(file) }
            guard code == EWOULDBLOCK else { throw .folderUnusable(path: lockPath, operation: "lock", code: code) }
            let text = try DurableFile.read(lockPath, limit: 64).map { String(decoding: $0, as: UTF8.self) }
            throw .folderInUse(path: path, process: text.flatMap { Int32($0.split(separator: "\n").first ?? "") })
        }
        // Only for people: a lock that cannot name its holder is still a lock.
        let text = Array("\(getpid())\n".utf8)
        _ = ftruncate(file, 0)
        _ = unsafe text.withUnsafeBytes { unsafe pwrite(file, $0.baseAddress!, $0.count, 0) }
        return file
    }

    private static func identity(decoding bytes: [UInt8], path: String) throws(WorkerError) -> (NodeID, NodeID?) {
        let record = try RecordText(decoding: bytes, kind: identityKind, supportedFormat: format, path: path)
        guard let node = record.fields["node"].flatMap({ NodeID($0) }) else {
            throw .corruptFile(path: path, reason: "it names no node")
        }
        guard let text = record.fields["cluster"] else { return (node, nil) }
        guard let cluster = NodeID(text) else { throw .corruptFile(path: path, reason: "its cluster is not an id") }
        return (node, cluster)
    }

    private static func write(node: NodeID, cluster: NodeID?, to path: String) throws(WorkerError) {
        var fields = ["node": node.description]
        if let cluster { fields["cluster"] = cluster.description }
        try DurableFile.write(RecordText(kind: identityKind, format: format, fields: fields).encoded, to: path)
    }
}
