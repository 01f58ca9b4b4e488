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
            let compared = try #require(value("mien_recall_compared_total{kind=\"matches\"}", in: text))
            #expect(compared >= 12)
            #expect(value("mien_recall_found_total{kind=\"matches\"}", in: text) == compared)
            #expect(value("mien_live_recall{kind=\"mates\"}", in: text) == 1)
            let low = try #require(value("mien_live_recall_low{kind=\"mates\"}", in: text))
            #expect(low > 0 && low < 1)
        }
    }

    @Test func othersAreNot() async throws {
        let folder = TemporaryFolder()
        let test = TestCollection()
        var options = WorkerHarness.options(folder)
        options.recallCheckInterval = 1
        try await WorkerHarness.with(options) { harness in
            _ = try await harness.call(test.host())
            let ids = test.ids(20)
            _ = try await harness.call(test.enrol(ids))
            for _ in 0..<5 { _ = try await harness.call(test.search([ids[5]], k: 4, effort: .exact)) }
            var filtered = test.search([ids[5]], k: 4, effort: .recall(0.99))
            filtered.parameters.filter = FaceFilter(personIDs: ["p1"])
            _ = try await harness.call(filtered)
            try await Task.sleep(for: .milliseconds(50))
            let text = options.metrics.rendered()
            for status in ["done", "busy", "changed", "failed"] {
                #expect(value("mien_recall_checks_total{status=\"\(status)\"}", in: text) == 0)
            }
        }
    }
}
