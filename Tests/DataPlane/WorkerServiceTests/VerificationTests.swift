import ClusterModel
import FaceModel
import Foundation
import Observability
import Testing
import WireProtocol
import WorkerService

/// Partitions that a worker reads by itself.
struct VerificationTests {
    private let test = TestCollection(shardCount: 2)

    private func path(_ file: String, ofShard index: Int, in folder: TemporaryFolder) -> String {
        "\(folder.path)/replicas/\(test.collection.id)/\(index)/\(file)"
    }

    private func fill(_ folder: TemporaryFolder) async throws {
        var options = WorkerHarness.options(folder)
        options.verificationPeriod = .zero
        try await WorkerHarness.with(options) { harness in
            for index in 0..<2 {
                _ = try await harness.call(test.host(index))
                _ = try await harness.call(test.enrol(test.ids(600, in: index), in: index))
            }
        }
    }

    /// Waits until so many partitions were found to be so.
    private func found(_ status: String, _ count: Double, in metrics: MetricRegistry) async throws {
        let series = "mien_verifications_total{status=\"\(status)\"} "
        let end = ContinuousClock.now + .seconds(20)
        var line: Substring?
        while ContinuousClock.now < end {
            line = metrics.rendered().split(separator: "\n").first { $0.hasPrefix(series) }
            if line.flatMap({ Double($0.dropFirst(series.count)) }) == count { return }
            try await Task.sleep(for: .milliseconds(5))
        }
        Issue.record("not \(count) partitions were found \(status): \(line ?? "no such series")")
    }

    private func unasked(_ options: inout WorkerOptions, _ metrics: MetricRegistry) {
        options.verificationPeriod = .seconds(3600)
        options.metrics = metrics
    }

    /// An alert holds the age against the period.
    @Test(arguments: [Duration.zero, .seconds(3600)])
    func noAgeIsToldWhereNothingIsReadUnasked(period: Duration) async throws {
        let (folder, metrics) = (TemporaryFolder(), MetricRegistry())
        var options = WorkerHarness.options(folder)
        options.verificationPeriod = period
        options.metrics = metrics
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host(0))
            let lines = metrics.rendered().split(separator: "\n").map(String.init)
            let tellsAge = lines.contains { $0.hasPrefix("mien_verification_age_seconds ") }
            #expect(tellsAge == (period > .zero))
            #expect(lines.contains("mien_verification_period_seconds 3600") == (period > .zero))
            #expect(lines.contains("mien_erasure_period_seconds 86400"))
        }
    }

    private func value(_ series: String, in metrics: MetricRegistry) -> Double? {
        metrics.rendered().split(separator: "\n").first { $0.hasPrefix(series + " ") }
            .flatMap { Double($0.dropFirst(series.count + 1)) }
    }

    /// However long the process has run before.
    @Test func aReplicaThatWasNeverReadCountsFromWhenItCame() async throws {
        let (folder, metrics) = (TemporaryFolder(), MetricRegistry())
        var options = WorkerHarness.options(folder)
        unasked(&options, metrics)
        let start = ContinuousClock.now
        // It is not run, so it reads nothing.
        try await WorkerHarness.with(options) { harness in
            try await eventually("the process is older") { ContinuousClock.now - start > .milliseconds(500) }
            let came = ContinuousClock.now
            _ = try await harness.call(test.host(0))
            let age = try #require(value("mien_verification_age_seconds", in: metrics))
            let atMost = ContinuousClock.now - came
            #expect(Duration.seconds(age) <= atMost)
        }
    }

    /// What is in the file of a replica out of service nobody knows, nor whether it was erased.
    @Test func aReplicaOutOfServiceCountsAsOneThatHasSomethingToErase() async throws {
        let (folder, metrics) = (TemporaryFolder(), MetricRegistry())
        try await fill(folder)
        try FileBytes.overwrite(path("record", ofShard: 0, in: folder), at: 0, with: [0x58])
        var options = WorkerHarness.options(folder)
        options.metrics = metrics
        try await WorkerHarness.with(options) { _ in
            #expect(value("mien_replicas{state=\"failed\"}", in: metrics) == 1)
            let first = value("mien_erasure_age_seconds", in: metrics) ?? 0
            #expect(first > 0)
            try await eventually("the age rises") { (value("mien_erasure_age_seconds", in: metrics) ?? 0) > first }
        }
    }

    /// Nobody searches, and nobody asks.
    @Test func aFlippedByteIsFoundWithoutBeingAsked() async throws {
        let folder = TemporaryFolder()
        try await fill(folder)
        let path = path("partition/data.mdb", ofShard: 1, in: folder)
        let pattern = test.embeddings([test.ids(300, in: 1)[299]]).values.prefix(12).flatMap { value in
            withUnsafeBytes(of: Float16(value).bitPattern.littleEndian) { Array($0) }
        }
        let places = try FileBytes.occurrences(of: pattern, in: path)
        #expect(!places.isEmpty)
        for place in places { try FileBytes.overwrite(path, at: place, with: [pattern[0] ^ 1]) }
        let metrics = MetricRegistry()
        try await WorkerHarness.withCluster(folder, cluster: .random(), changing: { unasked(&$0, metrics) }) {
            harness,
            coordinator in
            let report = try await coordinator.report { $0.replicas.contains { $0.state == .failed } }
            #expect(report.replicas.map(\.state) == [.serving, .failed])
            try await found("damaged", 1, in: metrics)
            try await found("sound", 1, in: metrics)
            #expect(try await harness.refusal(test.search(test.ids(1, in: 1), in: 1)).code == .corruptPartition)
            // Whoever asks for a reading is told at once.
            let reading = try await harness.call(VerifyReplica(shard: test.shard(1)))
            #expect(reading.damage?.contains("must be rebuilt") == true, "\(reading)")
            let ids = test.ids(1)
            #expect(try await harness.call(test.search(ids)).matches.map { $0.first?.faceID } == ids)
        }
        #expect(FileManager.default.fileExists(atPath: self.path("verified", ofShard: 0, in: folder)))
        #expect(!FileManager.default.fileExists(atPath: self.path("verified", ofShard: 1, in: folder)))
    }

    @Test func aRestartGoesOnWithThoseWhoseTurnItIs() async throws {
        let folder = TemporaryFolder()
        try await fill(folder)
        let cluster = NodeID.random()
        let (metrics, later) = (MetricRegistry(), MetricRegistry())
        try await WorkerHarness.withCluster(folder, cluster: cluster, changing: { unasked(&$0, metrics) }) { _, _ in
            try await found("sound", 2, in: metrics)
        }
        let records = try (0..<2).map {
            try Data(contentsOf: URL(fileURLWithPath: path("verified", ofShard: $0, in: folder)))
        }
        // A record that cannot be read is none.
        try FileBytes.overwrite(path("verified", ofShard: 1, in: folder), at: 0, with: [0x58])
        try await WorkerHarness.withCluster(folder, cluster: cluster, changing: { unasked(&$0, later) }) { _, _ in
            try await found("sound", 1, in: later)
            let now = try (0..<2).map {
                try Data(contentsOf: URL(fileURLWithPath: path("verified", ofShard: $0, in: folder)))
            }
            #expect(now[0] == records[0], "its turn has not come")
            #expect(now[1] != records[1] && now[1].starts(with: Array("mien-verified 1\n".utf8)))
        }
    }
}

struct VerificationScheduleTests {
    private let schedule = VerificationSchedule(period: .seconds(100))
    private let shards = (0..<3).map { ShardID(collection: CollectionID(high: 1, low: 2), index: $0) }

    private func next(_ times: [Int64?], now: Int64) -> UInt32? {
        let verified = zip(shards, times).map { ($0, $1.map { Timestamp(milliseconds: $0) }) }
        return schedule.next(Dictionary(uniqueKeysWithValues: verified), now: Timestamp(milliseconds: now))?.index
    }

    @Test func whatWasNeverReadComesFirst() {
        #expect(next([5, nil, 4], now: 1_000_000) == 1)
        #expect(next([nil, nil, nil], now: 0) == 0)
        #expect(next([], now: 0) == nil)
    }

    @Test func theOldestComesWhenAPeriodHasPassed() {
        #expect(next([30, 10, 20], now: 100_009) == nil)
        #expect(next([30, 10, 20], now: 100_010) == 1)
        #expect(next([30, 100_010, 20], now: 100_020) == 2)
    }

    @Test func theAgeIsThatOfTheReadingOrElseOfThePartition() {
        func age(_ verified: Int64?, now: Int64) -> Duration {
            VerificationSchedule.age(
                of: verified.map { Timestamp(milliseconds: $0) },
                heldFor: .seconds(3),
                now: Timestamp(milliseconds: now)
            )
        }
        #expect(age(90_000, now: 100_000) == .seconds(10))
        #expect(age(100_000, now: 100_000) == .zero)
        #expect(age(nil, now: 100_000) == .seconds(3))
        // The clock was set back since.
        #expect(age(100_001, now: 100_000) == .seconds(3))
        #expect(age(.min, now: .max) > .seconds(3))
    }

    /// A clock that was wrong, or is.
    @Test func aTimeThatHasNotComeYetIsNone() {
        #expect(next([90, 200, 95], now: 100) == 1)
        #expect(next([.max, .min, 0], now: 0) == 0)
        #expect(next([.min, .max, 0], now: .max) == 0)
    }
}
