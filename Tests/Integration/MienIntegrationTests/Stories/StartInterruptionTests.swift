import Foundation
import Glibc
import Testing

extension Integration {
    /// A node that is told to end while it starts ends, also as the first process of a container, which the kernel
    /// gives no signal that it does not handle; and one that serves stops in order there as well.
    @Suite struct StartInterruptionTests {
        /// Whether a process may be the first of a namespace of its own: tried once.
        static let mayBeFirst: Bool = {
            let line = first(["/bin/true"])
            let trial = Process()
            trial.executableURL = URL(filePath: line[0])
            trial.arguments = Array(line.dropFirst())
            trial.standardError = FileHandle.nullDevice
            guard (try? trial.run()) != nil else { return false }
            trial.waitUntilExit()
            return trial.terminationStatus == 0
        }()

        /// A command line that runs another one as the first process of a namespace.
        private static func first(_ command: [String]) -> [String] {
            ["/usr/bin/unshare", "--pid", "--fork", "--kill-child", "--"] + command
        }

        @Test(.timeLimit(.minutes(1)), arguments: [SIGTERM, SIGINT])
        func aCoordinatorThatWaitsForItsStoreEndsWhenItIsTold(signal: Int32) async throws {
            try await Stage.play { stage in
                let process = try await stage.start(try waiting(stage))
                try await waits(process)
                Glibc.kill(process.id, signal)
                #expect(try await process.end(within: .seconds(10)) == 128 + signal)
            }
        }

        @Test(
            .enabled(if: StartInterruptionTests.mayBeFirst, "no namespace of processes may be made"),
            .timeLimit(.minutes(1)),
            arguments: [SIGTERM, SIGINT]
        )
        func theFirstProcessOfAContainerEndsWhileItStarts(signal: Int32) async throws {
            try await Stage.play { stage in
                let process = try await stage.launch(Self.first([stage.binary] + waiting(stage)))
                try await waits(process)
                Glibc.kill(try child(of: process), signal)
                #expect(try await process.end(within: .seconds(10)) == 128 + signal)
            }
        }

        @Test(
            .enabled(if: StartInterruptionTests.mayBeFirst, "no namespace of processes may be made"),
            .timeLimit(.minutes(1))
        )
        func theFirstProcessOfAContainerStopsInOrderOnceItServes() async throws {
            try await Stage.play { stage in
                for role in ["coordinator", "dev"] {
                    let node = [role, "--listen", "127.0.0.1:0", "--data", stage.path(role)]
                    let process = try await stage.launch(Self.first([stage.binary] + node))
                    try await eventually("a \(role) serves", within: .seconds(20)) {
                        if let status = process.status { throw StoryError("it ended with \(status): \(process.error)") }
                        return process.output.contains("Serving:") ? () : nil
                    }
                    Glibc.kill(try child(of: process), SIGTERM)
                    let status = try await process.end(within: .seconds(15))
                    #expect(status == 0, "\(role): \(process.error.suffix(800))")
                }
            }
        }

        /// The arguments of a coordinator whose etcd nobody has started.
        private func waiting(_ stage: Stage) throws -> [String] {
            [
                "coordinator", "--listen", "127.0.0.1:0", "--data", stage.path("waiting"), "--set",
                "coordinator.metadata=etcd", "--set",
                "coordinator.etcd.endpoints=http://127.0.0.1:\(try LoopbackPort.free())",
            ]
        }

        private func waits(_ process: ChildProcess) async throws {
            try await eventually("the coordinator waits for its store", within: .seconds(20)) {
                if let status = process.status { throw StoryError("it ended with \(status): \(process.error)") }
                return process.error.contains("waiting for the metadata store") ? () : nil
            }
        }

        /// The one process that a process has started, by its number outside.
        private func child(of process: ChildProcess) throws -> pid_t {
            let ids = try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { pid_t($0) }
            let children = ids.filter { id in
                let status = try? String(contentsOfFile: "/proc/\(id)/status", encoding: .utf8)
                return status?.contains("\nPPid:\t\(process.id)\n") ?? false
            }
            guard children.count == 1 else { throw StoryError("\(process.id) has \(children.count) children") }
            return children[0]
        }
    }
}
