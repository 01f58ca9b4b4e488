import CoreMetrics
import Foundation
import Observability
import Testing

struct MetricRegistryTests {
    private let registry = MetricRegistry()

    @Test func countersGaugesAndCollectedValuesAreRendered() {
        registry.counter(MetricCatalogue.rowsVisited).increment(by: 40)
        registry.counter(MetricCatalogue.rowsVisited).increment(by: 2)
        registry.gauge(MetricCatalogue.recallObjective).record(0.99)
        registry.collect { $0.add(MetricCatalogue.queueLength, "search", value: 3) }
        registry.collect { $0.add(MetricCatalogue.queueLength, "search", value: 4) }
        let lines = registry.rendered().split(separator: "\n")
        #expect(lines.contains("# TYPE mien_rows_visited_total counter"))
        #expect(lines.contains("mien_rows_visited_total 42"))
        #expect(lines.contains("mien_recall_objective 0.99"))
        // Several nodes of one process are added up.
        #expect(lines.contains("mien_queue_length{queue=\"search\"} 7"))
        #expect(!lines.contains { $0.contains("mien_page_faults_total") })
    }

    @Test func everyMetricHasItsHelpOnceAboveItsSeries() throws {
        registry.counter(MetricCatalogue.requests, "worker", "shardSearch", "ok").increment()
        registry.counter(MetricCatalogue.requests, "worker", "shardGet", "ok").increment()
        let text = registry.rendered()
        let expected = """
            # HELP mien_requests_total \(MetricCatalogue.requests.help)
            # TYPE mien_requests_total counter
            mien_requests_total{role="worker",request="shardGet",status="ok"} 1
            mien_requests_total{role="worker",request="shardSearch",status="ok"} 1

            """
        #expect(text == expected)
    }

    @Test func bucketsAddUpToTheCount() throws {
        let timer = registry.timer(MetricCatalogue.commitDuration)
        for nanoseconds in [0, 10_000, 10_001, 12_500, 1_000_000_000, 10_000_000_000, 10_000_000_001] as [Int64] {
            timer.recordNanoseconds(nanoseconds)
        }
        let lines = registry.rendered().split(separator: "\n").map(String.init)
        func value(_ series: String) throws -> Double {
            let line = try #require(lines.first { $0.hasPrefix(series + " ") }, "\(series)")
            return try #require(Double(line.dropFirst(series.count + 1)))
        }
        let name = "mien_commit_duration_seconds"
        // Bounds belong to their bucket: 0 and 10 µs are in the first.
        #expect(try value("\(name)_bucket{le=\"1e-05\"}") == 2)
        #expect(try value("\(name)_bucket{le=\"1.25e-05\"}") == 4)
        #expect(try value("\(name)_bucket{le=\"1\"}") == 5)
        #expect(try value("\(name)_bucket{le=\"10\"}") == 6)
        #expect(try value("\(name)_bucket{le=\"+Inf\"}") == 7)
        #expect(try value("\(name)_count") == 7)
        #expect(abs(try value("\(name)_sum") - 21.0000325) < 1e-6)
        let buckets = try lines.filter { $0.hasPrefix("\(name)_bucket") }.map {
            try #require(Int($0.split(separator: " ")[1]))
        }
        #expect(buckets.count == 52)
        #expect(buckets == buckets.sorted())
    }

    /// As Prometheus does it: all times of a bucket are taken for evenly spread.
    @Test func aMedianIsKnownWithinAFifth() throws {
        var worst = 0.0
        for microseconds in sequence(first: 10.1, next: { $0 * 1.013 }).prefix(while: { $0 < 100_000 }) {
            let registry = MetricRegistry()
            let timer = registry.timer(MetricCatalogue.commitDuration)
            for _ in 0..<4 { timer.recordNanoseconds(Int64(microseconds * 1000)) }
            var below = 0.0
            for line in registry.rendered().split(separator: "\n") where line.contains("_bucket{le=") {
                let parts = line.split(separator: "\"")
                guard let bound = Double(parts[1]), line.hasSuffix(" 4") else {
                    below = Double(parts[1]) ?? below
                    continue
                }
                worst = max(worst, abs((below + bound) / 2 * 1e6 / microseconds - 1))
                break
            }
        }
        #expect(worst > 0.05 && worst < 0.15, "\(worst)")
    }

    @Test func labelsAreEscaped() {
        registry.collect { $0.add(MetricCatalogue.collectionFaces, "a\"b\\c\nd", value: 1) }
        #expect(registry.rendered().contains("mien_collection_faces{collection=\"a\\\"b\\\\c\\nd\"} 1\n"))
    }

    @Test func theLargestOfRaisedValuesIsShown() {
        registry.collect { $0.raise(MetricCatalogue.readerLag, to: 4) }
        registry.collect { $0.raise(MetricCatalogue.readerLag, to: 2) }
        #expect(registry.rendered().contains("mien_lmdb_oldest_reader_commits 4\n"))
    }

    @Test func theSameSeriesIsOneCell() {
        for _ in 0..<3 { Counter(label: "mien_rows_visited_total", dimensions: [], factory: registry).increment() }
        #expect(registry.rendered().contains("mien_rows_visited_total 3\n"))
    }

    @Test func countingFromManyThreadsLosesNothing() async {
        let counter = registry.counter(MetricCatalogue.rowsVisited)
        let timer = registry.timer(MetricCatalogue.commitDuration)
        await withTaskGroup(of: Void.self) { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<10_000 {
                        counter.increment()
                        timer.recordNanoseconds(20_000)
                    }
                }
            }
        }
        let text = registry.rendered()
        #expect(text.contains("mien_rows_visited_total 40000\n"))
        #expect(text.contains("mien_commit_duration_seconds_count 40000\n"))
        #expect(text.contains("mien_commit_duration_seconds_sum 0.8\n"))
    }

    @Test func theProcessTellsOfItself() throws {
        registry.collect(ProcessMetrics.collect)
        let lines = registry.rendered().split(separator: "\n")
        for name in ["process_resident_memory_bytes", "process_open_fds", "mien_process_threads"] {
            let line = try #require(lines.first { $0.hasPrefix(name + " ") })
            #expect(try #require(Double(line.dropFirst(name.count + 1))) > 0)
        }
        let start = try #require(lines.first { $0.hasPrefix("process_start_time_seconds ") })
        // After 2020: the machine's clock is set, and the unit is right.
        #expect(try #require(Double(start.split(separator: " ")[1])) > 1_577_836_800)
        let clock = try #require(lines.first { $0.hasPrefix("mien_wall_clock_seconds ") })
        let told = try #require(Double(clock.split(separator: " ")[1]))
        #expect(abs(told - Date().timeIntervalSince1970) < 60)
    }

    @Test func aProcessNameMayHoldBracketsAndSpaces() throws {
        let text = "7 (a) b) S 1 7 7 0 -1 4194560 11 0 22 0 33 44 0 0 20 0 5 0 66 7777 88 18446744073709551615 1 1\n"
        let figures = try #require(StatFigures(text))
        #expect(figures.minorFaults == 11 && figures.majorFaults == 22)
        #expect(figures.processorTicks == 77 && figures.threadCount == 5)
        #expect(figures.startTicks == 66 && figures.virtualByteCount == 7777 && figures.residentPages == 88)
        #expect(StatFigures("7 (a) S 1") == nil)
    }
}
