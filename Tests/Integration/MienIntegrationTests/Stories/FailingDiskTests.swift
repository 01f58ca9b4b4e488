import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// Writes and syncs of a partition's file fail, one after the other; nothing is acknowledged that is not kept, and
    /// the replica comes back by itself.
    @Suite struct FailingDiskTests {
        @Test(.timeLimit(.minutes(2))) func everyFailingCallIsSurvived() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("failing disk")
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(2), timeout: .seconds(5))
                try await FaceWriter.createCollection(shards: 1, client)
                var writer = FaceWriter(seed: seed)
                var struck = 0
                // A commit is a few writes of pages, a sync, and the write of the page that names them.
                let faults =
                    (1...7).map { StorageFaults.Fault(kind: .write, number: $0, error: EIO) }
                    + (1...3).map { StorageFaults.Fault(kind: .sync, number: $0, error: EIO) }
                    + [2, 3].map { StorageFaults.Fault(kind: .write, number: $0, error: ENOSPC) }
                    + [1, 4].map { StorageFaults.Fault(kind: .write, number: $0, error: 0) }
                for (number, fault) in faults.enumerated() {
                    cluster.workers[0].kill()
                    let report = stage.path("struck-\(number)")
                    try await cluster.workers[0].start(
                        adding: StorageFaults.environment(fault: fault, report: report)
                    )
                    let before = writer.acknowledgedCount
                    let pause = FaceWriter.Pause()
                    writer = try await withThrowingTaskGroup(of: FaceWriter.self) { [writer] group in
                        group.addTask { await writer.writing(to: client, until: pause) }
                        defer { pause.ask() }
                        try await eventually("\(fault) strikes, and writes go on", within: .seconds(20)) {
                            let hasStruck = FileManager.default.fileExists(atPath: report)
                            return hasStruck && pause.acknowledgedCount > 4 ? () : nil
                        }
                        pause.ask()
                        return try await group.next() ?? writer
                    }
                    struck += FileManager.default.fileExists(atPath: report) ? 1 : 0
                    #expect(cluster.workers[0].isRunning, "\(fault) ended the worker")
                    #expect(writer.acknowledgedCount > before)
                    // What the disk has, read by another process.
                    cluster.workers[0].kill()
                    try await cluster.start()
                    var stored = try await FaceWriter.storedFaces(client)
                    let wrong = writer.check(&stored)
                    #expect(wrong.isEmpty, "\(fault): \(wrong.count) faults, first \(wrong.prefix(3))")
                    #expect(stored.isEmpty, "\(fault): \(stored.count) faces that nobody wrote")
                }
                #expect(struck == faults.count)
                #expect(writer.surprises.isEmpty, "\(writer.surprises.prefix(3))")
                print(
                    "failing disk: \(struck) calls failed; \(writer.acknowledgedCount) writes acknowledged, "
                        + "\(writer.failedCount) failed, none lost"
                )
                await client.close()
            }
        }
    }
}
