import ClusterModel
import FaceModel
import WireProtocol

extension MessageSamples {
    static let confirmation = AcceptRecord.Confirmation(storedVersion: 7, primary: nodeID, sequence: 41)

    static let confirmedRecovery = RecoverShard.Confirmation(epoch: Epoch(7), primary: nodeID, sequence: 41)

    static let recovered = ShardRecovered(
        lost: [nodeID],
        shardIndex: 5,
        primary: secondNodeID,
        replicas: [.init(worker: secondNodeID, sequence: nil)],
        epoch: Epoch(7),
        away: [nodeID]
    )

    static let settlement = ReadLosses(
        collection: "gallery",
        isSettling: true,
        settled: [.init(range: HashRange(first: 5, last: 9), time: Timestamp(milliseconds: 1_700_000_000_000))]
    )

    static let deletion = DeleteCollection(name: "gallery", id: CollectionID(high: 0x1122, low: 0x3344))
}
