import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// A worker in a control group whose memory a neighbour takes: faces are turned away with the reason, searches and
    /// deletions go on, and it ends when the neighbour leaves.
    @Suite struct MemoryLimitTests {
        private static let dimension = 256
        private static let mebibyte = 1 << 20

        @Test(.enabled(if: ControlGroup.mayMake, "no control group can be made"), .timeLimit(.minutes(1)))
        func withoutMemoryFacesAreTurnedAwayAndTheRestGoesOn() async throws {
            try await Stage.play { stage in
                let group = try ControlGroup(limitByteCount: 400 * Self.mebibyte)
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let worker = try #require(cluster.workers[0].process)
                try group.add(worker.id)
                let client = try cluster.client()
                _ = try await client.createCollection(
                    CollectionOptions(name: "people", dimension: Self.dimension, embeddingModel: "m", shardCount: 1)
                )
                var random = SeededRandom(seed: 31)
                var faces: [(Face.ID, [Float])] = []
                func enrol() async throws(MienClientError) {
                    let batch = (0..<100).map { _ in
                        (Face.ID(high: random.next(), low: random.next()), random.direction(dimension: Self.dimension))
                    }
                    _ = try await client.enrol(
                        batch.map { NewFace(id: $0.0) },
                        embeddings: Embeddings(dimension: Self.dimension, values: batch.flatMap(\.1)),
                        into: "people",
                        model: "m"
                    )
                    faces += batch
                }
                func search(_ index: Int) async throws {
                    let results = try await client.search(
                        "people",
                        probes: Embeddings(dimension: Self.dimension, values: faces[index].1),
                        model: "m",
                        options: SearchOptions(matchLimit: 1, effort: .exact)
                    )
                    guard case .matches(let matches)? = results.outcomes.first else { throw StoryError("no matches") }
                    #expect(matches.first?.id == faces[index].0)
                }
                for _ in 0..<20 { try await enrol() }
                let memory = try await eventually("the worker knows of its group", within: .seconds(10)) {
                    let memory = try await client.status().workers[0].memory
                    return memory.limit == .controlGroup ? memory : nil
                }
                #expect(memory.limitByteCount == UInt64(400 * Self.mebibyte) && !memory.isShort)
                #expect(memory.programByteCount > 0)

                // What lies in memory alone cannot be taken back; a file could be.
                let file = "/dev/shm/mien-story-\(getpid())"
                defer { unlink(file) }
                let neighbour = try await stage.run([
                    "/bin/sh", "-c", "echo $$ > \(group.path)/cgroup.procs && head -c 372M /dev/zero > \(file)",
                ])
                try #require(neighbour.status == 0, "\(neighbour)")
                let refusal = try await eventually("faces are turned away", within: .seconds(10)) {
                    () -> MienClientError? in
                    do throws(MienClientError) {
                        try await enrol()
                        return nil
                    } catch {
                        return error
                    }
                }
                #expect(refusal.code == .memoryFull, "\(refusal)")
                for words in ["of its control group", "kept in reserve", "program", "give it more memory"] {
                    #expect(refusal.message.contains(words), "\(refusal)")
                }
                try await search(0)
                try await search(faces.count - 1)
                _ = try await client.deleteFaces([faces[5].0], from: "people")
                try await eventually("the cluster says so", within: .seconds(10)) {
                    let status = try await cluster.mien("status", "--memory")
                    return status.status != 0 && status.error.contains("for want of memory")
                        && status.output.contains("live, short of memory") && status.output.contains("control group")
                        ? () : nil
                }

                unlink(file)
                try await eventually("faces are taken again", within: .seconds(10)) { try await enrol() }
                try await search(faces.count - 1)
                await client.close()
                for worker in cluster.workers { _ = try await worker.stop() }
                group.remove()
            }
        }

        /// What a training would take has to be free before it begins; the operation tells what is missing.
        @Test(.timeLimit(.minutes(1))) func aTrainingBeginsWithTheMemoryForItOrNotAtAll() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 1,
                    coordinatorSettings: ["coordinator.training.min_faces=3000"],
                    workerSettings: ["worker.memory.limit=60MiB"]
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                let made = try await stage.mien("generate", stage.path("gallery"), "--faces", "3000")
                #expect(made.status == 0, "\(made)")
                _ = try await client.createCollection(
                    CollectionOptions(name: "people", dimension: 512, embeddingModel: "m", shardCount: 1)
                )
                let imported = try await cluster.mien(
                    ["import", "people", "--embeddings", stage.path("gallery/embeddings.npy"), "--model", "m"]
                )
                #expect(imported.status == 0, "\(imported)")
                let refused = try await eventually("the training is refused", within: .seconds(20)) {
                    let operations = try await cluster.mien("operations")
                    return operations.output.contains("does not begin to train") ? operations.output : nil
                }
                #expect(refused.contains("for want of memory: that takes 56 MiB"), "\(refused)")
                #expect(try await client.describe("people").codebook == nil)
                await client.close()
            }
        }

        /// A limit that is set by configuration alone, and below what any process holds.
        @Test(.timeLimit(.minutes(1))) func aConfiguredLimitHoldsAsWell() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 2, workerSettings: ["worker.memory.limit=1MiB"])
                try await cluster.start()
                let client = try cluster.client()
                try await eventually("both workers have said that they are short", within: .seconds(10)) {
                    try await client.status().workers.allSatisfy(\.memory.isShort) ? () : nil
                }
                // They are given nothing new.
                let created = try await cluster.mien(
                    ["collection", "create", "people", "--dimension", "64", "--model", "m", "--timeout", "1"]
                )
                #expect(created.status != 0 && created.error.contains("may be given replicas"), "\(created)")
                let memory = try await client.status().workers[0].memory
                #expect(memory.limit == .configuration && memory.limitByteCount == 1 << 20)
                await client.close()
            }
        }
    }

    /// A control group with a limit on memory; of version 1, which is what the tests' machine has.
    struct ControlGroup {
        private static let root = "/sys/fs/cgroup/memory"
        let path: String

        /// Whether one can be made: tried once.
        static let mayMake: Bool = {
            let place = "\(root)/mien-try-\(getpid())"
            guard FileManager.default.fileExists(atPath: "\(root)/memory.limit_in_bytes"), mkdir(place, 0o755) == 0
            else { return false }
            defer { rmdir(place) }
            return FileManager.default.isWritableFile(atPath: "\(place)/cgroup.procs")
        }()

        init(limitByteCount: Int) throws {
            path = "\(Self.root)/mien-story-\(getpid())-\(UInt32.random(in: 0 ... .max))"
            guard mkdir(path, 0o755) == 0 else { throw StoryError("\(path) cannot be made") }
            try write("\(limitByteCount)", to: "memory.limit_in_bytes")
        }

        func add(_ process: pid_t) throws {
            try write("\(process)", to: "cgroup.procs")
        }

        private func write(_ text: String, to name: String) throws {
            let file = open("\(path)/\(name)", O_WRONLY | O_CLOEXEC)
            guard file >= 0 else { throw StoryError("\(path)/\(name) cannot be opened") }
            defer { close(file) }
            let bytes = Array(text.utf8)
            guard Glibc.write(file, bytes, bytes.count) == bytes.count else {
                throw StoryError("\(path)/\(name) does not take \(text)")
            }
        }

        /// Once no process is in it any more.
        func remove() { rmdir(path) }
    }
}
