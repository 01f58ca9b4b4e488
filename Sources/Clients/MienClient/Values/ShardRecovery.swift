import ClusterModel
import FaceModel
import WireProtocol

/// How a shard goes on, or would, without what was lost with its replicas.
public struct ShardRecovery: Hashable, Sendable {
    /// Index of the shard that was lost.
    public var lostShardIndex: Int
    /// Identities of the workers whose replicas had every acknowledged write, or have failed.
    public var lostWorkerIDs: [String]
    /// Identities of the workers that are not heard of and had a replica which was behind by the record: it may have
    /// more than any that is there. Start them first.
    public var awayWorkerIDs: [String]
    /// Index of the shard that goes on: another one where nothing of it is there.
    public var shardIndex: Int
    public var replicas: [RecordAcceptance.Replica]
    /// Epoch that the shard had which was lost; nil from a coordinator that does not tell.
    let epoch: Epoch?

    /// Whether no worker that is there has anything of the shard.
    public var isEmpty: Bool { shardIndex != lostShardIndex }

    init(_ recovered: ShardRecovered, of shard: Int) {
        lostShardIndex = shard
        lostWorkerIDs = recovered.lost.filter { !recovered.away.contains($0) }.map(\.description)
        awayWorkerIDs = recovered.away.map(\.description)
        shardIndex = Int(recovered.shardIndex)
        replicas = recovered.replicas.map { RecordAcceptance.Replica($0, primary: recovered.primary) }
        epoch = recovered.epoch
    }
}

/// Faces that were given up.
public struct AcceptedLoss: Hashable, Sendable {
    /// When that was.
    public var time: Face.Timestamp
    /// Share of the collection's ring that they were spread over, 0…1: about the share of its faces.
    public var share: Double
    /// Names it to the coordinator.
    let loss: LossList.Loss

    init(_ loss: LossList.Loss) {
        self.loss = loss
        time = Face.Timestamp(millisecondsSince1970: loss.time.milliseconds)
        share = loss.range.share
    }
}
