import Foundation
import MienClient
import Testing

extension Integration {
    /// Workers come, go and are restarted while faces are written and searched for, and nobody who does so notices.
    @Suite struct ElasticityTests {
        @Test(.timeLimit(.minutes(5)))
        func workersComeAndGoUnderLoad() async throws {
            try await ClusterUnderLoad.play("elasticity", shards: 4) { cluster, client in
                try await Self.change(cluster, client)
            }
        }

        /// 3 workers, then 5, then 3 of them; 2 copies, then 3, then 2; then every worker is restarted.
        private static func change(_ cluster: Cluster, _ client: MienClient) async throws {
            for _ in 0..<2 { try cluster.addWorker() }
            try await cluster.start()
            try await done(cluster, "rebalance", "--wait")
            try await expectReplicas(cluster, client) { $0.allSatisfy { $0 >= 1 } }

            let first = cluster.workerAddresses[0]
            let planned = try await cluster.mien("plan", "drain", first)
            #expect(planned.status == 0 && planned.output.contains("Nothing was changed."), "\(planned)")
            let words = try #require(planned.output.firstMatch(of: /begin just this: mien (apply [0-9a-f]{16}) drain/))
            let apply = words.output.1.split(separator: " ").map(String.init)
            // Another worker's drain would do something else than what was shown.
            let other = try await cluster.mien(apply + ["drain", cluster.workerAddresses[1]])
            #expect(other.status == 65 && other.error.contains("has changed since that plan"), "\(other)")
            let applied = try await cluster.mien(apply + ["drain", first, "--wait"])
            #expect(applied.status == 0, "\(applied)")
            try await expectReplicas(cluster, client) { $0[0] == 0 }
            let explained = try await cluster.mien("explain", FaceWriter.collection, "0")
            #expect(explained.output.contains("being drained"), "\(explained)")
            let alone = try await cluster.mien("explain", FaceWriter.collection, "0", "--worker", first, "--json")
            #expect(alone.output.matches(of: /"rule": "(\w+)"/).map(\.output.1) == ["drained"], "\(alone)")
            try await done(cluster, "recommission", first)

            try await done(cluster, "collection", "copies", FaceWriter.collection, "--copies", "3", "--wait")
            try await done(
                cluster,
                "collection",
                "copies",
                FaceWriter.collection,
                "--copies",
                "2",
                "--min-copies",
                "1",
                "--wait"
            )
            try await done(
                cluster,
                "decommission",
                cluster.workerAddresses[3],
                cluster.workerAddresses[1],
                "--wait"
            )
            try await expectReplicas(cluster, client) { $0[1] == 0 && $0[3] == 0 }

            for number in [0, 2, 4] {
                let status = try await cluster.workers[number].stop()
                #expect(status == 0)
                try await cluster.workers[number].start()
                try await eventually("every copy is in sync after a restart", within: .seconds(30)) {
                    let collection = try await client.describe(FaceWriter.collection)
                    return collection.shards.allSatisfy { $0.inSyncCount == 2 } ? () : nil
                }
            }
        }

        private static func done(_ cluster: Cluster, _ words: String...) async throws {
            let result = try await cluster.mien(words)
            #expect(result.status == 0, "mien \(words.joined(separator: " ")): \(result)")
        }

        private static func expectReplicas(
            _ cluster: Cluster,
            _ client: MienClient,
            _ condition: ([Int]) -> Bool
        ) async throws {
            let addresses = cluster.workerAddresses
            try await eventually("replicas are where they should be", within: .seconds(10)) {
                let workers = try await client.status().workers
                let counts = addresses.map { address in
                    workers.first { $0.address == address }?.replicaCount ?? -1
                }
                return condition(counts) ? () : nil
            }
        }
    }
}
