import ClusterModel
import WireProtocol

extension MessageSamples {
    static let confirmation = AcceptRecord.Confirmation(storedVersion: 7, primary: nodeID, sequence: 41)

    static let confirmedRecovery = RecoverShard.Confirmation(epoch: Epoch(7), primary: nodeID, sequence: 41)

    static let recovered = ShardRecovered(
        lost: [nodeID],
        shardIndex: 5,
        primary: secondNodeID,
        replicas: [.init(worker: secondNodeID, sequence: nil)],
        epoch: Epoch(7)
    )
}
