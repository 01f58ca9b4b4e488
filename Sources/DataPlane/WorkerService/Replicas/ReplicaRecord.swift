package import ClusterModel
import FaceModel

/// What a worker promises to remember of a replica besides its faces: the epoch that fences it, and its range.
///
/// Written after the partition is complete and removed before it goes, so a folder without a record holds nothing that
/// was ever acknowledged.
package struct ReplicaRecord: Equatable {
    static let kind = "mien-replica"
    static let format: UInt32 = 1

    package var shard: ShardID
    package var epoch: Epoch
    package var range: HashRange
    /// Whether its writes go through a log that other replicas have too. Once it is, it stays so, and so are the shards
    /// that take its shard's place.
    package var isReplicated = false
    /// Version of the group by which no write is ordered; 0 where writes are. What a replica that is alone said of its
    /// end holds beyond a restart.
    package var frozenVersion: UInt64 = 0
    /// Of the newest group that it went by; 0 where none was written down. After a restart it goes by none that is
    /// older: a metadata store that was put back to an earlier state tells of such.
    package var groupVersion: UInt64 = 0

    func write(to path: String) throws(WorkerError) {
        var fields = [
            "collection": shard.collection.description, "shard": "\(shard.index)", "epoch": "\(epoch.number)",
            "first": "\(range.first)", "last": "\(range.last)", "replicated": isReplicated ? "1" : "0",
        ]
        if frozenVersion > 0 { fields["frozen"] = "\(frozenVersion)" }
        if groupVersion > 0 { fields["version"] = "\(groupVersion)" }
        try DurableFile.write(RecordText(kind: Self.kind, format: Self.format, fields: fields).encoded, to: path)
    }

    /// The record at `path`; nil when there is none.
    package static func read(from path: String, of shard: ShardID) throws(WorkerError) -> ReplicaRecord? {
        guard let bytes = try DurableFile.read(path, limit: RecordText.byteLimit) else { return nil }
        let text = try RecordText(decoding: bytes, kind: kind, supportedFormat: format, path: path)
        func number(_ key: String) throws(WorkerError) -> UInt64 {
            guard let value = text.fields[key].flatMap({ UInt64($0) }) else {
                throw .corruptFile(path: path, reason: "its \(key) is not a number")
            }
            return value
        }
        let (epoch, first, last, index) = (
            try number("epoch"), try number("first"), try number("last"), try number("shard")
        )
        guard epoch <= Epoch.numberLimit else {
            throw .corruptFile(path: path, reason: "its epoch is beyond what can be counted")
        }
        guard text.fields["collection"] == shard.collection.description, index == shard.index, first <= last else {
            throw .corruptFile(path: path, reason: "it describes another replica than its folder")
        }
        return ReplicaRecord(
            shard: shard,
            epoch: Epoch(epoch),
            range: HashRange(first: first, last: last),
            isReplicated: text.fields["replicated"] == "1",
            frozenVersion: text.fields["frozen"] == nil ? 0 : try number("frozen"),
            groupVersion: text.fields["version"] == nil ? 0 : try number("version")
        )
    }
}
