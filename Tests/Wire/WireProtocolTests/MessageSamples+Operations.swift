import ClusterModel
import FaceModel
import WireProtocol

extension MessageSamples {
    /// With one of which nothing begins, and a rollout whose training failed twice.
    static let operationList: OperationList = {
        var list = OperationList(
            operations: [
                OperationDescription(
                    id: operationID,
                    kind: .copies,
                    collection: "gallery",
                    state: .done,
                    created: Timestamp(milliseconds: 1_700_000_000_000),
                    ended: Timestamp(milliseconds: 1_700_000_100_000)
                ),
                OperationDescription(
                    id: operationID,
                    kind: .rollout,
                    collection: "gallery",
                    state: .running,
                    created: Timestamp(milliseconds: 1_700_000_000_000),
                    rollout: .init(
                        generation: 2,
                        cause: .growth,
                        stage: .recoding,
                        training: .init(
                            generation: 2,
                            worker: nodeID,
                            progress: .init(stage: .centroids, share: 0.5, elapsedMilliseconds: 1500)
                        ),
                        shards: [
                            .init(
                                index: 2,
                                replicaCount: 3,
                                installedCount: 3,
                                rowCount: 33_000,
                                codedRowCount: 16_384
                            )
                        ],
                        rowsPerSecond: 3000,
                        waitsFor: "The worker codes 16616 rows of shard 2 again.",
                        silentMilliseconds: 120
                    )
                ),
            ],
            replacements: [operationStep]
        )
        list.operations[0].standstillMilliseconds = 75_000
        list.operations[1].failedTrainingCount = 2
        list.operations[0].copiedByteCount = 3 << 30
        list.operations[0].totalByteCount = 16 << 30
        list.operations[0].remainingMilliseconds = 211_000
        return list
    }()
}
