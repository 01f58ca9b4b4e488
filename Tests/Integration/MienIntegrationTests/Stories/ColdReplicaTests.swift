import Foundation
import MienClient
import Testing

extension Integration {
    /// Of two replicas one is restarted with nothing of its file in memory: it says so, is asked now and then as long
    /// as that is so, and becomes warm by what reads all of it; searches lose nothing.
    @Suite struct ColdReplicaTests {
        private static let dimension = 1024
        /// 128 MiB: what is read ahead of the first pages, 8 MiB each on some disks, is a third of it.
        private static let faceCount = 64_000

        /// Whether files of stories are anywhere but in memory.
        private static let areOnDisk: Bool = {
            let folder = FileManager.default.temporaryDirectory.resolvingSymlinksInPath().path + "/"
            let mounts = (try? String(contentsOfFile: "/proc/self/mounts", encoding: .utf8)) ?? ""
            // Device, place, kind, and more; of places one in the other the longest is that of a file.
            var found: (place: Int, kind: Substring) = (0, "")
            for line in mounts.split(separator: "\n") {
                let fields = line.split(separator: " ")
                guard fields.count > 2 else { continue }
                let place = fields[1] == "/" ? "/" : "\(fields[1])/"
                if folder.hasPrefix(place), place.count >= found.place { found = (place.count, fields[2]) }
            }
            return found.kind != "tmpfs"
        }()

        @Test(.enabled(if: ColdReplicaTests.areOnDisk, "files are kept in memory alone"), .timeLimit(.minutes(4)))
        func aReplicaThatWasRestartedColdBecomesWarm() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 2, workerSettings: ["worker.memory.prefault=none"])
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(5))
                _ = try await client.createCollection(
                    CollectionOptions(
                        name: "people",
                        dimension: Self.dimension,
                        embeddingModel: "m",
                        shardCount: 1,
                        replicationFactor: 2
                    )
                )
                var random = SeededRandom(seed: 29)
                let faces = (0..<Self.faceCount).map { _ in
                    (Face.ID(high: random.next(), low: random.next()), random.direction(dimension: Self.dimension))
                }
                // Of one person there is one face: who searches for it reads hardly anything.
                let person = faces[0].0
                for first in stride(from: 0, to: faces.count, by: 1000) {
                    let batch = faces[first..<first + 1000]
                    _ = try await client.enrol(
                        batch.map { face in
                            NewFace(id: face.0, metadata: Face.Metadata(personID: face.0 == person ? "one" : nil))
                        },
                        embeddings: Embeddings(dimension: Self.dimension, values: batch.flatMap(\.1)),
                        into: "people",
                        model: "m"
                    )
                }
                let address = cluster.workerAddresses[1]
                func warmth() async throws -> Double? {
                    let worker = try await client.status().workers.first { $0.address == address }
                    guard let worker, worker.isLive, worker.rowByteCount > 0 else { return nil }
                    return Double(worker.residentRowByteCount) / Double(worker.rowByteCount)
                }
                let before = try await eventually("the worker has reported", within: .seconds(10)) {
                    try await warmth()
                }
                #expect(before > 0.9, "what was just written is in memory")
                _ = try await cluster.workers[1].stop()
                try await Self.forget(stage.path("worker-2"), stage)
                try await cluster.workers[1].start()
                let cold = try await eventually("the worker is cold", within: .seconds(10)) {
                    try await warmth().flatMap { $0 < 0.9 ? $0 : nil }
                }
                let explained = try await eventually("it is in sync, and said to be cold", within: .seconds(10)) {
                    let explained = try await cluster.mien("explain", "people", "0")
                    return explained.output.contains("It is cold:") ? explained : nil
                }
                #expect(explained.output.contains("of what searches read is in memory"), "\(explained)")

                var littleCount = 0
                func askedCount() async throws -> UInt64 {
                    try #require(try await client.status().workers.first { $0.address == address }).activity.searchCount
                }
                try await eventually("the cold one is asked", within: .seconds(30)) {
                    for _ in 0..<100 {
                        let results = try await client.search(
                            "people",
                            probes: Embeddings(dimension: Self.dimension, values: faces[0].1),
                            model: "m",
                            options: SearchOptions(
                                matchLimit: 1,
                                effort: .exact,
                                coverage: .full,
                                filter: SearchOptions.Filter(personIDs: ["one"])
                            )
                        )
                        guard case .matches(let matches)? = results.outcomes.first, matches.first?.id == person else {
                            throw StoryError("the person was not found")
                        }
                        littleCount += 1
                    }
                    return try await askedCount() > 0 ? () : nil
                }
                // It gets a sixteenth of what a warm one gets; some more where the warm one takes its time.
                let asked = try await askedCount()
                #expect(asked < UInt64(littleCount) / 3, "\(asked) of \(littleCount) searches")
                let still = try await cluster.mien("explain", "people", "0")
                #expect(still.output.contains("It is cold:"), "\(still)")

                var searchCount = 0
                try await eventually("the replica is warm", within: .seconds(60)) {
                    let (face, embedding) = faces[searchCount % faces.count]
                    searchCount += 1
                    let results = try await client.search(
                        "people",
                        probes: Embeddings(dimension: Self.dimension, values: embedding),
                        model: "m",
                        options: SearchOptions(matchLimit: 1, effort: .exact, coverage: .full)
                    )
                    guard case .matches(let matches)? = results.outcomes.first, matches.first?.id == face else {
                        throw StoryError("face \(searchCount) was not found")
                    }
                    return try await warmth().flatMap { $0 > 0.9 ? () : nil }
                }
                print(
                    "cold replica: \(Int(cold * 100)) % warm after its start, asked \(asked) of \(littleCount) times, "
                        + "warm after \(searchCount) searches of all"
                )
                await client.close()
            }
        }

        /// Lets the system forget what it keeps in memory of the files of a folder.
        private static func forget(_ folder: String, _ stage: Stage) async throws {
            let found = try await stage.run(["/usr/bin/find", folder, "-type", "f"])
            for path in found.output.split(separator: "\n") {
                let file = open(String(path), O_RDONLY | O_CLOEXEC)
                guard file >= 0 else { continue }
                defer { close(file) }
                fsync(file)
                posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED)
            }
        }
    }
}
