import MienClient
import Testing

extension Integration {
    /// A worker hangs in the middle of a copy that it sends, as a machine does, and goes on later.
    @Suite struct FrozenSourceTests {
        private static let collection = "moved"
        private static let dimension = 512
        private static let model = "synthetic-wild-512"

        private struct Operation: Decodable {
            struct Step: Decodable {
                var sent_bytes: UInt64
                var total_bytes: UInt64
                var restarts: Int
                var unchanged_seconds: Double
            }
            var id: String
            var state: String
            var steps: [Step]
        }

        /// A copy that is under way.
        private struct Copy {
            /// Of the operation that it is for.
            let operation: String
            let source: ChildProcess
            let target: String
        }

        /// The replica that leads hangs. Another takes its place, and sends the newcomer what it lacks.
        @Test(.timeLimit(.minutes(5))) func anotherReplicaSendsTheCopyWhenTheSourceHangs() async throws {
            try await play("frozen source", copies: 2) { cluster, load in
                try await load.runs { pause in
                    let copy = try await Self.beginMove(cluster, load.client)
                    copy.source.freeze()
                    try await load.goesOn(pause, "while the source hangs")
                    try await Self.enrolAndFind(load.client)
                    try await load.explaining {
                        try await eventually("the newcomer has everything", within: .seconds(90)) {
                            let step = try await Self.operation(copy.operation, cluster).steps.first
                            #expect(step?.restarts == 0, "the newcomer stays, whoever sends")
                            let shard = try await load.client.describe(Self.collection).shards.first
                            let replica = shard?.replicas.first { $0.workerID == copy.target }
                            return replica?.isInSync == true ? () : nil
                        }
                    }
                    copy.source.thaw()
                    try await Self.awaitEnd(of: copy, cluster, load)
                    try await load.isWhole("when the source goes on")
                    try await load.goesOn(pause, "when the source goes on")
                }
            }
        }

        /// Nobody else has what it sends. People are told after a minute, and it goes on when the worker does.
        @Test(.timeLimit(.minutes(6))) func aMoveWhoseOnlySourceHangsSaysSoAndEndsWhenThatGoesOn() async throws {
            try await play("frozen only source", copies: 1) { cluster, load in
                try await load.runs { pause in
                    let copy = try await Self.beginMove(cluster, load.client)
                    copy.source.freeze()
                    let frozen = ContinuousClock.now
                    try await load.goesOn(pause, "while the source hangs")
                    try await load.explaining {
                        try await eventually("the log tells that it does not get on", within: .seconds(90)) {
                            let words = "Operation \(copy.operation) has not got on with shard"
                            return cluster.coordinator.process?.error.contains(words) == true ? () : nil
                        }
                    }
                    // What was under way when it hung may still have come; the line is of the look after a minute.
                    let took = ContinuousClock.now - frozen
                    #expect(took < .seconds(100), "the line came \(took) after the source hung")
                    // The line says a minute, and the alert is for more than one.
                    let metrics = try await ScrapedMetrics(of: [cluster.coordinator])
                    let silence = metrics.sum("mien_operation_silence_seconds")
                    #expect((60..<120).contains(silence), "the metric tells \(silence) s")
                    let told = try await Self.operation(copy.operation, cluster)
                    #expect(told.state == "running")
                    #expect(told.steps.first?.unchanged_seconds ?? 0 >= 60, "\(told)")
                    let status = try await cluster.mien("status")
                    #expect(status.status == 69 && status.error.contains("is missing"), "\(status)")
                    try await load.goesOn(pause, "when people are told")

                    let before = try #require(try await Self.operation(copy.operation, cluster).steps.first)
                    copy.source.thaw()
                    try await Self.awaitEnd(of: copy, goingOnFrom: before.sent_bytes, cluster, load)
                    #expect(before.sent_bytes > 1 << 20)
                    try await load.isWhole("when the source goes on")
                    try await Self.enrolAndFind(load.client)
                    try await load.goesOn(pause, "when the source goes on")
                }
                let shard = try #require(try await load.client.describe(Self.collection).shards.first)
                #expect(shard.replicas.count == 1)
            }
        }

        /// A shard on workers that take some ten seconds to send it, beside a collection of two copies that is written
        /// to and searched; at the end all that was written is there, and all replicas are equal. Where there are two
        /// copies the log would do, so the shard has more than the 64 MiB that are kept of it.
        private func play(
            _ name: String,
            copies: Int,
            _ body: (Cluster, ReplicatedLoad) async throws -> Void
        ) async throws {
            try await Stage.play { stage in
                let (faceCount, rate) = copies > 1 ? (90_000, "16MiB") : (6000, "1MiB")
                let cluster = try Cluster(stage, workers: 3, workerSettings: ["worker.copy_rate=\(rate)"])
                try await cluster.start()
                let made = try await stage.mien("generate", stage.path("gallery"), "--faces", "\(faceCount)")
                #expect(made.status == 0, "\(made)")
                let created = try await cluster.mien(
                    ["collection", "create", Self.collection, "--dimension", "\(Self.dimension)"]
                        + ["--model", Self.model, "--shards", "1", "--copies", "\(copies)", "--min-copies", "1"]
                )
                #expect(created.status == 0, "\(created)")
                let imported = try await cluster.mien(
                    ["import", Self.collection, "--embeddings", stage.path("gallery/embeddings.npy")]
                        + ["--ids", stage.path("gallery/ids.txt")]
                )
                #expect(imported.status == 0, "\(imported)")
                let load = try await ReplicatedLoad(name, cluster, copies: 2, minimumInSync: 1, shards: 1)
                try await body(cluster, load)
                try await eventually("every face is counted", within: .seconds(10)) {
                    let count = try await load.client.describe(Self.collection).faceCount
                    return count == UInt64(faceCount) + 1 ? () : nil
                }
                let verified = try await cluster.mien("verify", Self.collection)
                #expect(verified.status == 0, "\(verified)")
                try await load.check("at the end")
                try await load.end("a source that hung in the middle of a copy")
            }
        }

        /// Has a replica make way for one elsewhere, and waits until some of that has come. Where there are two, the
        /// one that makes way is not the one that leads, and sends.
        private static func beginMove(_ cluster: Cluster, _ client: MienClient) async throws -> Copy {
            let shard = try #require(try await client.describe(collection).shards.first)
            let workers = try await client.status().workers
            let source = try #require(shard.replicas.first { $0.isPrimary }?.workerID)
            let leaver = shard.replicas.first { !$0.isPrimary }?.workerID ?? source
            let target = try #require(workers.first { worker in !shard.replicas.contains { $0.workerID == worker.id } })
            let address = try #require(workers.first { $0.id == source }).address
            let number = try #require(cluster.workerAddresses.firstIndex(of: address))
            let move = ["shard", "move", collection, "\(shard.index)", "--from", leaver, "--to", target.id, "--json"]
            let begun = try await cluster.mien(move).document(Operation.self)
            try await eventually("some of the copy has come", within: .seconds(60)) {
                let step = try #require(try await operation(begun.id, cluster).steps.first)
                return step.sent_bytes > 1 << 20 && step.sent_bytes < step.total_bytes ? () : nil
            }
            let process = try #require(cluster.workers[number].process)
            return Copy(operation: begun.id, source: process, target: target.id)
        }

        /// A face of the collection that is moved.
        private static func enrolAndFind(_ client: MienClient) async throws {
            let face = Face.ID(high: 0xf02e, low: 1)
            var values = [Float](repeating: 0, count: dimension)
            values[0] = 1
            let embedding = Embeddings(dimension: dimension, values: values)
            try await eventually("a face is enrolled and found", within: .seconds(30)) { () async throws -> Void? in
                _ = try await client.enrol([NewFace(id: face)], embeddings: embedding, into: collection, model: model)
                let results = try await client.search(collection, probes: embedding, model: model)
                guard case .matches(let matches) = results.outcomes.first else { return nil }
                return matches.first?.id == face ? () : nil
            }
        }

        private static func operation(_ id: String, _ cluster: Cluster) async throws -> Operation {
            let all = try await cluster.mien("operations", "--all", "--json").document([Operation].self)
            return try #require(all.first { $0.id == id })
        }

        /// - Parameter sentByteCount: what had come of the copy when its source hung, if that goes on with it.
        private static func awaitEnd(
            of copy: Copy,
            goingOnFrom sentByteCount: UInt64 = 0,
            _ cluster: Cluster,
            _ load: ReplicatedLoad
        ) async throws {
            var restarts = 0
            var leastSent = UInt64.max
            try await load.explaining {
                try await eventually("the operation is done", within: .seconds(120)) {
                    let operation = try await operation(copy.operation, cluster)
                    restarts = max(restarts, operation.steps.first?.restarts ?? 0)
                    if operation.state == "running", let sent = operation.steps.first?.sent_bytes, sent > 0 {
                        leastSent = min(leastSent, sent)
                    }
                    return operation.state == "done" ? () : nil
                }
            }
            #expect(restarts == 0, "what goes on does not begin anew")
            #expect(leastSent >= sentByteCount, "what had come is not sent again")
        }
    }
}
