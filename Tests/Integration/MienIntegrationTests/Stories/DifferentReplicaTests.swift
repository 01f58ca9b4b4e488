import MienClient
import Testing

extension Integration {
    /// One of three replicas has right checksums and holds something else than the others. It is told and found, and a
    /// copy of what most hold takes its place.
    @Suite struct DifferentReplicaTests {
        /// Whose record is changed: nobody writes it meanwhile.
        private static let face = Searcher.faces[0]

        /// A defect: what the replica says that it holds is what it holds.
        @Test(.timeLimit(.minutes(3)), arguments: [false, true])
        func aReplicaThatDiffersIsToldOfAndReplaced(isPrimary: Bool) async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 3)
                try await cluster.start()
                let load = try await load(cluster, "a \(isPrimary ? "primary" : "replica") that differs")
                #expect(try await Self.differentCount(cluster) == 0)
                let (id, address, _) = try await alter(.recordAndDigest, cluster, load)
                try await load.isWhole("after the change")
                if isPrimary { try await lead(id, cluster, load) }

                // Nobody writes: all are read behind the same write.
                let found = try await cluster.mien("verify", FaceWriter.collection)
                #expect(found.status == 1)
                try expect(found, address, isPrimary: isPrimary, finding: "different", shown: "It differs.")
                try await load.runs { pause in
                    let begin = ContinuousClock.now
                    try await eventually("the metric tells of it", within: .seconds(40)) {
                        try await Self.differentCount(cluster) == 1 ? () : nil
                    }
                    let told = ContinuousClock.now
                    // While it is written to, too; by what each holds behind a later write.
                    let mended = try await cluster.mien("verify", FaceWriter.collection, "--repair")
                    #expect(mended.status == 1)
                    try expect(
                        mended,
                        address,
                        isPrimary: isPrimary,
                        finding: "different",
                        shown: "Being replaced by a copy."
                    )
                    try await load.isWhole("after the repair")
                    try await load.goesOn(pause, "after the repair")
                    try await eventually("the metric tells that it is over", within: .seconds(40)) {
                        try await Self.differentCount(cluster) == 0 ? () : nil
                    }
                    print(
                        "different replica: told of \(told - begin) after the first write; found, replaced and not "
                            + "told of any more \(ContinuousClock.now - told) later"
                    )
                }
                let words = try #require(cluster.coordinator.process).error
                #expect(words.contains("do not hold the same"), "\(words.suffix(1500))")
                try await finish(load)
            }
        }

        /// A disk that brings back an old record: the sums that the replica keeps with every write are not those of
        /// what it holds, so it is damaged by its own account. Its worker reads it unasked, at once when its turn has
        /// come.
        @Test(.timeLimit(.minutes(3))) func anOldRecordIsFoundAndReplaced() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 3)
                try await cluster.start()
                let load = try await load(cluster, "an old record")
                let (_, address, worker) = try await alter(.record, cluster, load)
                try await eventually("the worker has read it", within: .seconds(30)) {
                    try #require(worker.process).error.contains("the digest is not that of the faces") ? () : nil
                }
                let mended = try await cluster.mien("verify", FaceWriter.collection, "--repair")
                #expect(mended.status == 1)
                try expect(mended, address, isPrimary: false, finding: "damaged", shown: "Being replaced by a copy.")
                try await load.isWhole("after the repair")
                #expect(try await Self.differentCount(cluster) == 0)
                try await finish(load)
            }
        }

        private func load(_ cluster: Cluster, _ name: String) async throws -> ReplicatedLoad {
            let load = try await ReplicatedLoad(name, cluster, copies: 3, shards: 1)
            try await load.runs { try await load.goesOn($0, "before") }
            return load
        }

        /// Changes a record of a replica that is not the primary's.
        ///
        /// - Returns: its worker, which runs again.
        private func alter(
            _ change: AlteredPartition.Change,
            _ cluster: Cluster,
            _ load: ReplicatedLoad
        ) async throws -> (id: String, address: String, node: Node) {
            let replicas = try await load.client.describe(FaceWriter.collection).shards[0].replicas
            let id = try #require(replicas.first { !$0.isPrimary }?.workerID)
            let address = try #require(try await load.client.status().workers.first { $0.id == id }?.address)
            let index = try #require(cluster.workerAddresses.firstIndex(of: "\(address)"))
            #expect(try await cluster.workers[index].stop() == 0)
            try AlteredPartition.make(
                change,
                ofFace: Self.face.value,
                in: cluster.stage.path("worker-\(index + 1)")
            )
            try await cluster.start()
            return (id, cluster.workerAddresses[index], cluster.workers[index])
        }

        private func lead(_ id: String, _ cluster: Cluster, _ load: ReplicatedLoad) async throws {
            let ordered = try await cluster.mien("shard", "lead", FaceWriter.collection, "0", "--worker", id)
            #expect(ordered.status == 0, "\(ordered)")
            try await eventually("\(id) leads", within: .seconds(20)) {
                try await load.primaries() == [id] ? () : nil
            }
            try await load.isWhole("after the change of the primary")
        }

        /// Every replica of the shard is told of, and all but that worker's are sound.
        private func expect(
            _ verified: CommandResult,
            _ address: String,
            isPrimary: Bool,
            finding: String,
            shown: String
        ) throws {
            let rows = verified.output.split(separator: "\n").filter { $0.contains("ary ") }
            #expect(rows.count == 3, "\(verified)")
            for row in rows {
                #expect(row.split(separator: " ").first == "0", "\(verified)")
                if row.contains(address) {
                    let role = isPrimary ? "primary" : "secondary"
                    #expect(row.contains(role) && row.contains(finding) && row.contains(shown), "\(verified)")
                } else {
                    #expect(row.contains("sound"), "\(verified)")
                }
            }
        }

        private static func differentCount(_ cluster: Cluster) async throws -> Double {
            let metrics = try await ScrapedMetrics(of: [cluster.coordinator])
            return try #require(metrics[#"mien_shards_different{collection="people"}"#])
        }

        /// The face is as it was, whoever is asked, and all replicas are equal.
        private func finish(_ load: ReplicatedLoad) async throws {
            for _ in 0..<20 {
                let shown = try await load.client.faces([Self.face], in: FaceWriter.collection)
                #expect(shown.count == 1 && shown[0].metadata.quality == nil, "\(shown)")
            }
            try await load.check("at the end")
            try await load.end("mended")
        }
    }
}
