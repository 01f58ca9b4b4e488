import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// Writes and syncs of a partition's file fail, one after the other; nothing is acknowledged that is not kept, and
    /// the replica comes back by itself.
    @Suite struct FailingDiskTests {
        /// `MIEN_FAILING_DISKS` makes it a long run.
        private static let roundCount = StoryLength.named("MIEN_FAILING_DISKS", or: 3)
        /// `MIEN_FAILING_CALLS` makes it a long run: from the first of a process on, so many writes fail, each in three
        /// ways, and as many syncs. 0 for a few of them.
        private static let callCount = StoryLength.named("MIEN_FAILING_CALLS", or: 0)

        /// Free pages are overwritten once something has been dead for a third of it, so that some of the calls that
        /// fail are of those.
        private static func cluster(_ stage: Stage, workers: Int, erasurePeriod: Int) throws -> Cluster {
            try Cluster(stage, workers: workers, workerSettings: ["worker.erasure_period=\(erasurePeriod)s"])
        }

        /// Which calls fail, in one process after the other.
        private static let faults: [StorageFaults.Fault] = {
            func each(_ kind: StorageFaults.Fault.Kind, _ numbers: [Int], _ error: Int32) -> [StorageFaults.Fault] {
                numbers.map { StorageFaults.Fault(kind: kind, number: $0, error: error) }
            }
            // An error of 0 writes half and says so.
            if callCount > 0 {
                let all = Array(1...callCount)
                return each(.write, all, EIO) + each(.sync, all, EIO) + each(.write, all, ENOSPC) + each(.write, all, 0)
            }
            // A commit is a few writes of pages, a sync, and the write of the page that names them. The first sync is
            // that of opening.
            return each(.write, Array(1...7), EIO) + each(.sync, [1, 2, 3], EIO) + each(.write, [2, 3], ENOSPC)
                + each(.write, [1, 4], 0)
        }()

        @Test(.timeLimit(.minutes(callCount > 0 ? 240 : 2))) func everyFailingCallIsSurvived() async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("failing disk")
                let cluster = try Self.cluster(stage, workers: 1, erasurePeriod: 1)
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(2), timeout: .seconds(5))
                try await FaceWriter.createCollection(shards: 1, client)
                // Which write of a commit finds no room decides whether its sender is told.
                var writer = FaceWriter(seed: seed, expecting: Self.callCount > 0 ? [.storageFull] : [])
                var (struck, erasures) = (0, 0)
                let faults = Self.faults
                for (number, fault) in faults.enumerated() {
                    cluster.workers[0].kill()
                    let (report, record) = (stage.path("struck-\(number)"), stage.path("record-\(number)"))
                    try await cluster.workers[0].start(
                        adding: StorageFaults.environment(fault: fault, report: report, record: record)
                    )
                    let before = writer.acknowledgedCount
                    let pause = FaceWriter.Pause()
                    writer = try await withThrowingTaskGroup(of: FaceWriter.self) { [writer, erasures] group in
                        group.addTask { await writer.writing(to: client, until: pause) }
                        defer { pause.ask() }
                        // A late call is of a late write.
                        let limit = Duration.seconds(20 + fault.number / 5)
                        try await eventually("\(fault) strikes, and writes go on", within: limit) {
                            let hasStruck = FileManager.default.fileExists(atPath: report)
                            return hasStruck && pause.acknowledgedCount > 4 ? () : nil
                        }
                        if number == faults.count - 1, erasures == 0 {
                            // Every round before was over before something had been dead for long enough.
                            try await eventually("free pages are overwritten", within: .seconds(20)) {
                                try StorageRecord(path: record).erasures.isEmpty ? nil : ()
                            }
                        }
                        pause.ask()
                        return try await group.next() ?? writer
                    }
                    struck += FileManager.default.fileExists(atPath: report) ? 1 : 0
                    #expect(cluster.workers[0].isRunning, "\(fault) ended the worker")
                    #expect(writer.acknowledgedCount > before)
                    // What the disk has, read by another process.
                    cluster.workers[0].kill()
                    erasures += try StorageRecord(path: record).erasures.count
                    try FileManager.default.removeItem(atPath: record)
                    try await cluster.start()
                    var stored = try await FaceWriter.storedFaces(client)
                    let wrong = writer.check(&stored)
                    #expect(wrong.isEmpty, "\(fault): \(wrong.count) faults, first \(wrong.prefix(3))")
                    #expect(stored.isEmpty, "\(fault): \(stored.count) faces that nobody wrote")
                }
                #expect(struck == faults.count)
                #expect(erasures > 0, "nothing was erased")
                #expect(writer.surprises.isEmpty, "\(writer.surprises.prefix(3))")
                print(
                    "failing disk: \(struck) calls failed, \(erasures) went over free pages; "
                        + "\(writer.acknowledgedCount) writes acknowledged, \(writer.failedCount) failed, none lost"
                )
                await client.close()
            }
        }

        /// One of three workers has a disk of which every so manieth call fails, while its replicas are written to.
        @Test(.timeLimit(.minutes(roundCount > 10 ? 120 : 3)), arguments: [2, 1])
        func aDiskThatFailsNowAndThenCostsItsShardsNothing(minimumInSync: Int) async throws {
            try await Stage.play { stage in
                let name = "failing disk of one of 2 copies, at least \(minimumInSync)"
                let seed = SeededRandom.storySeed(name)
                var random = SeededRandom(seed: seed)
                let cluster = try Self.cluster(stage, workers: 3, erasurePeriod: 4)
                func each(_ worker: Int) -> String { "each-\(worker)" }
                func report(_ worker: Int) -> String { stage.path("struck-\(worker)") }
                func record(_ worker: Int) -> String { stage.path("record-\(worker)") }
                for (number, worker) in cluster.workers.enumerated() {
                    try await worker.start(
                        adding: StorageFaults.environment(
                            each: stage.path(each(number)),
                            report: report(number),
                            record: record(number)
                        )
                    )
                }
                try await cluster.start()
                let load = try await ReplicatedLoad(
                    name,
                    cluster,
                    copies: 2,
                    minimumInSync: minimumInSync,
                    expecting: [.storageFull],
                    seed: seed
                )
                let faults = [
                    "write:7:\(EIO) sync:5:\(EIO)", "write:4:0 sync:3:\(EIO)", "write:5:\(ENOSPC)", "sync:2:\(EIO)",
                    "write:3:\(EIO)", "sync:1:\(EIO)", "write:1:\(EIO)",
                ]
                var struckCount = 0
                for round in 1...Self.roundCount {
                    let fault = round <= faults.count ? faults[round - 1] : faults.randomElement(using: &random)!
                    let victim = Int.random(in: 0..<3, using: &random)
                    let time = Duration.milliseconds(Int.random(in: 500...2500, using: &random))
                    try? FileManager.default.removeItem(atPath: report(victim))
                    try await load.runs { pause in
                        try stage.write(each(victim), fault)
                        try await eventually("\(fault) strikes", within: .seconds(20)) {
                            FileManager.default.fileExists(atPath: report(victim)) ? () : nil
                        }
                        try await Task.sleep(for: time)
                        try FileManager.default.removeItem(atPath: stage.path(each(victim)))
                        #expect(cluster.workers[victim].isRunning, "\(fault) ended the worker")
                        try await load.isWhole("after \(fault)")
                        try await load.goesOn(pause, "after \(fault)")
                    }
                    struckCount += try String(contentsOfFile: report(victim), encoding: .utf8).count { $0 == "\n" }
                    try await load.check("after \(fault), in round \(round)")
                }
                #expect(struckCount > Self.roundCount)
                var erasures = 0
                for worker in 0..<3 { erasures += try StorageRecord(path: record(worker)).erasures.count }
                #expect(erasures > 0 || Self.roundCount <= 10, "nothing was erased")
                try await load.end(
                    "\(Self.roundCount) rounds, \(struckCount) calls failed, \(erasures) went over free pages",
                    mayRefuseWrites: true
                )
            }
        }
    }
}
