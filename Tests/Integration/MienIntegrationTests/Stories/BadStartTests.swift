import Foundation
import Glibc
import Testing

extension Integration {
    /// A node that cannot start says why in one sentence and leaves everything as it was.
    @Suite struct BadStartTests {
        /// A user who owns nothing.
        private static let nobody = 65_534

        @Test(.timeLimit(.minutes(1))) func aTakenPortAndATakenFolderAreNamed() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                try await refuses(
                    stage,
                    ["coordinator", "--listen", "\(cluster.address)", "--data", stage.path("second")],
                    69,
                    "\(cluster.address) is in use"
                )
                try await refuses(
                    stage,
                    ["worker", "--listen", cluster.workerAddresses[0], "--data", stage.path("third")],
                    69,
                    "\(cluster.workerAddresses[0]) is in use"
                )
                try await refuses(
                    stage,
                    ["coordinator", "--listen", "127.0.0.1:0", "--data", stage.path("coordinator")],
                    74,
                    "in use by process \(cluster.coordinator.process?.id ?? 0)"
                )
                try await refuses(
                    stage,
                    ["worker", "--listen", "127.0.0.1:0", "--data", stage.path("worker-1")],
                    74,
                    "in use by process \(cluster.workers[0].process?.id ?? 0)"
                )
                let status = try await cluster.mien("status")
                #expect(status.status == 0, "the first processes go on: \(status)")
            }
        }

        @Test(.timeLimit(.minutes(1))) func aFolderOfANewerFormatIsLeftAlone() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                for node in [cluster.workers[0], cluster.coordinator] { #expect(try await node.stop() == 0) }

                let identity = try stage.text("worker-1/worker")
                try stage.write(
                    "worker-1/worker",
                    identity.replacing("mien-worker 1\n", with: "mien-worker 9\n", maxReplacements: 1)
                )
                try await refuses(stage, cluster.workers[0].arguments, 74, "format 9")
                try stage.write("worker-1/worker", identity)

                // The store's format is the value beside its key, in a file without checksums.
                let file = "coordinator/metadata/data.mdb"
                let data = try Data(contentsOf: URL(filePath: stage.path(file)))
                let current = Data("format".utf8) + Data([1, 0, 0, 0])
                var newer = data
                var replacedCount = 0
                while let range = newer.range(of: current) {
                    newer.replaceSubrange(range, with: Data("format".utf8) + Data([9, 0, 0, 0]))
                    replacedCount += 1
                }
                #expect(replacedCount > 0, "the metadata store has its format where the story looks for it")
                try stage.write(file, newer)
                try await refuses(stage, cluster.coordinator.arguments, 74, "format 9")
                try stage.write(file, data)

                try await cluster.start()
            }
        }

        @Test(.timeLimit(.minutes(1))) func aFolderThatCannotBeWrittenIsNamed() async throws {
            try await Stage.play { stage in
                try FileManager.default.createDirectory(
                    atPath: stage.path("locked"),
                    withIntermediateDirectories: false,
                    attributes: [.posixPermissions: 0o555]
                )
                // Root may write anywhere.
                let user = getuid() == 0 ? Self.nobody : nil
                for role in ["coordinator", "worker", "dev"] {
                    try await refuses(
                        stage,
                        [role, "--listen", "127.0.0.1:0", "--data", stage.path("locked/data")],
                        74,
                        "locked/data",
                        user: user
                    )
                }
                try stage.write("file", "")
                for role in ["coordinator", "worker"] {
                    try await refuses(
                        stage,
                        [role, "--listen", "127.0.0.1:0", "--data", stage.path("file")],
                        74,
                        stage.path("file")
                    )
                }
            }
        }

        @Test(.enabled(if: Stage.mayMount, "no file system may be mounted"), .timeLimit(.minutes(1)))
        func aReadOnlyDiskIsNamedAtTheStart() async throws {
            try await Stage.play { stage in
                let place = try stage.mountMemory("read-only", mebibytes: 1, isReadOnly: true)
                for role in ["coordinator", "worker"] {
                    try await refuses(
                        stage,
                        [role, "--listen", "127.0.0.1:0", "--data", "\(place)/data"],
                        74,
                        "\(place)/data"
                    )
                }
            }
        }

        @Test(.enabled(if: Stage.mayMount, "no file system may be mounted"), .timeLimit(.minutes(1)))
        func aFullDiskIsNamedAtTheStart() async throws {
            try await Stage.play { stage in
                let place = try stage.mountMemory("full", mebibytes: 1)
                try stage.fill(place)
                try await refuses(
                    stage,
                    ["coordinator", "--listen", "127.0.0.1:0", "--data", "\(place)/data"],
                    74,
                    "\(place)/data",
                    "is full"
                )
                try await refuses(
                    stage,
                    ["worker", "--listen", "127.0.0.1:0", "--data", "\(place)/data-2"],
                    74,
                    "\(place)/data-2",
                    "no space left",
                    "free some space"
                )
            }
        }

        @Test(.timeLimit(.minutes(1))) func aWrongConfigurationIsToldWithFileAndLine() async throws {
            try await Stage.play { stage in
                let unknown = try stage.write(
                    "unknown.yaml",
                    "coordinator:\n  listen: 127.0.0.1:0\n  worker_timeot: 3s\n"
                )
                try await refuses(
                    stage,
                    ["coordinator", "--config", unknown],
                    78,
                    "unknown.yaml:3",
                    "did you mean",
                    "worker_timeout"
                )
                let bad = try stage.write("bad.yaml", "worker:\n  search_threads: many\n  heartbeat_interval: 1s\n")
                try await refuses(
                    stage,
                    ["worker", "--config", bad],
                    78,
                    "bad.yaml:2",
                    "worker.search_threads",
                    "many"
                )
                try await refuses(
                    stage,
                    ["worker", "--set", "worker.memory.partition_map=1"],
                    78,
                    "worker.memory.partition_map"
                )
                try await refuses(stage, ["coordinator", "--set", "no.such.key=1"], 78, "no.such.key")
                try await refuses(stage, ["dev", "--config", stage.path("absent.yaml")], 78, "absent.yaml")
                try await refuses(
                    stage,
                    ["coordinator", "--listen", "0.0.0.0:0", "--data", stage.path("open")],
                    78,
                    "without TLS and a token"
                )
                stage.environment["MIEN_COORDINATOR_LISTEN"] = "somewhere"
                try await refuses(stage, ["coordinator"], 78, "MIEN_COORDINATOR_LISTEN", "somewhere")
                #expect(!FileManager.default.fileExists(atPath: stage.path("open")), "nothing was made")
            }
        }

        /// Starts a node that must end by itself, and checks how and with which words.
        private func refuses(
            _ stage: Stage,
            _ arguments: [String],
            _ status: Int32,
            _ words: String...,
            user: Int? = nil
        ) async throws {
            let name = arguments.joined(separator: " ")
            let result = try await stage.mien(arguments, within: .seconds(10), user: user)
            #expect(result.status == status, "\(name): \(result)")
            for word in words { #expect(result.error.contains(word), "\(name) does not say '\(word)': \(result)") }
            #expect(result.output.isEmpty, "\(name): \(result)")
            let said = result.error.split(separator: "\n").filter { $0.hasPrefix("mien: ") }
            #expect(!said.isEmpty, "\(name): \(result)")
            if status != 78 { #expect(said.count == 1, "one sentence, \(name): \(result)") }
        }
    }
}
