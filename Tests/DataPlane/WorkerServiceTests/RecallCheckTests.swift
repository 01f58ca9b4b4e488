import FaceModel
import Observability
import Testing
import WireProtocol
import WorkerService

/// Searches that are repeated exactly to see what they had missed.
struct RecallCheckTests {
    private func value(_ series: String, in text: String) -> Double? {
        text.split(separator: "\n").first { $0.hasPrefix(series + " ") }.flatMap { Double($0.split(separator: " ")[1]) }
    }

    @Test func searchesThatPromiseARecallAreChecked() async throws {
        let folder = TemporaryFolder()
        let test = TestCollection()
        var options = WorkerHarness.options(folder)
        options.recallCheckInterval = 1
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(60)
            _ = try await harness.call(test.enrol(ids))
            let end = ContinuousClock.now + .seconds(20)
            while value("mien_recall_checks_total{status=\"done\"}", in: options.metrics.rendered()) ?? 0 < 3 {
                try #require(ContinuousClock.now < end, "\(options.metrics.rendered())")
                _ = try await harness.call(test.search([ids[5], ids[6]], k: 4, effort: .recall(0.99)))
                try await Task.sleep(for: .milliseconds(5))
            }
            let text = options.metrics.rendered()
            // All rows are compared without a codebook: nothing is missed.
            let compared = value("mien_recall_compared_total{kind=\"matches\",effort=\"recall\"}", in: text)
            #expect(compared ?? 0 >= 12)
            #expect(value("mien_recall_missed_total{kind=\"matches\",effort=\"recall\"}", in: text) == 0)
            #expect(value("mien_live_recall{kind=\"mates\",effort=\"recall\"}", in: text) == 1)
            let low = try #require(value("mien_live_recall_low{kind=\"mates\",effort=\"recall\"}", in: text))
            #expect(low > 0 && low < 1)
        }
    }

    /// The one that answers the search is not idle yet when the check is thought of.
    @Test func oneSearchThreadChecksToo() async throws {
        let folder = TemporaryFolder()
        let test = TestCollection()
        var options = WorkerHarness.options(folder)
        options.searchThreadCount = 1
        options.recallCheckInterval = 1
        options.limits.loopSearchTime = .zero
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(60)
            _ = try await harness.call(test.enrol(ids))
            let end = ContinuousClock.now + .seconds(20)
            while value("mien_recall_checks_total{status=\"done\"}", in: options.metrics.rendered()) ?? 0 < 3 {
                try #require(ContinuousClock.now < end, "\(options.metrics.rendered())")
                _ = try await harness.call(test.search([ids[5], ids[6]], k: 4, effort: .recall(0.99)))
                try await Task.sleep(for: .milliseconds(5))
            }
            #expect(harness.worker.loopSearchCount == 0)
        }
    }

    /// They promise nothing, so they have counts of their own and no part in what the heartbeat tells.
    @Test(arguments: ["full", "lists", "filtered"])
    func othersAreTalliedApart(effort: String) async throws {
        let folder = TemporaryFolder()
        let test = TestCollection()
        var options = WorkerHarness.options(folder)
        options.recallCheckInterval = 1
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(20)
            _ = try await harness.call(test.enrol(ids))
            let efforts: [String: SearchEffort] = ["full": .full, "lists": .lists(3), "filtered": .recall(0.99)]
            var search = test.search([ids[5]], k: 4, effort: efforts[effort]!)
            if effort == "filtered" { search.parameters.filter = FaceFilter(personIDs: ["p\(ids[5].low)"]) }
            let end = ContinuousClock.now + .seconds(20)
            while value("mien_recall_checks_total{status=\"done\"}", in: options.metrics.rendered()) ?? 0 < 1 {
                try #require(ContinuousClock.now < end, "\(options.metrics.rendered())")
                _ = try await harness.call(search)
                try await Task.sleep(for: .milliseconds(5))
            }
            let text = options.metrics.rendered()
            for other in ["recall", "full", "lists", "filtered"] {
                let series = "mien_recall_compared_total{kind=\"matches\",effort=\"\(other)\"}"
                #expect((value(series, in: text) ?? 0 > 0) == (other == effort), "\(text)")
            }
        }
    }

    @Test func exactOnesAreNotChecked() async throws {
        let folder = TemporaryFolder()
        let test = TestCollection()
        var options = WorkerHarness.options(folder)
        options.recallCheckInterval = 1
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(20)
            _ = try await harness.call(test.enrol(ids))
            for _ in 0..<5 { _ = try await harness.call(test.search([ids[5]], k: 4, effort: .exact)) }
            try await Task.sleep(for: .milliseconds(50))
            let text = options.metrics.rendered()
            for status in ["done", "busy", "failed"] {
                #expect(value("mien_recall_checks_total{status=\"\(status)\"}", in: text) == 0)
            }
        }
    }
}
