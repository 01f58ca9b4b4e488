import ClusterModel
import FaceModel
import WireProtocol

extension MessageSamples {
    static let shard: [any WireMessage] = [
        ShardEnrol(route: route, key: key, age: .milliseconds(1500), rows: rows, embeddings: embeddings),
        ShardEnrolled(outcomes: outcomes, sequence: 42),
        ShardDelete(route: route, key: key, age: .milliseconds(1500), ids: [firstFace]),
        ShardDeleted(outcomes: [.deleted], sequence: 43),
        ShardGet(route: route, ids: [firstFace, secondFace], includesEmbeddings: false, minimumSequence: 41),
        ConfirmShard(route: route),
        ShardConfirmed(sequence: 44),
        ShardList(route: route, after: nil, range: HashRange(first: 1, last: 9), limit: 1000, includesEmbeddings: true),
        ShardSearch(
            route: route,
            parameters: SearchParameters(
                matchLimit: 5,
                threshold: nil,
                effort: .exact,
                filter: FaceFilter(attributes: ["set": "a"])
            ),
            minimumSequence: 41,
            excludedFace: secondFace,
            probes: probes
        ),
        ShardSearchAnswer(
            matches: [matches, []],
            faceCount: 33_000,
            facesAnswered: 33_000,
            rowsVisited: 4_000,
            listsVisited: 8,
            generation: 1,
            epoch: Epoch(7)
        ),
    ]
}
