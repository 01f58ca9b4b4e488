import Foundation
import LoadGenerator
import MienClient
import Testing

@Suite struct LoadReportTests {
    @Test func aCopyThroughJSONIsTheSame() throws {
        var report = try SampleReport.make()
        report.truth.findings.add(.lost, "a face is not there")
        report.truth.unchecked = ["the rest"]
        #expect(try LoadReport(json: try report.json) == report)
    }

    @Test func theJSONHasWhatProgramsAskFor() throws {
        let report = try SampleReport.make()
        let document = try #require(try JSONSerialization.jsonObject(with: report.json) as? [String: Any])
        #expect(document["format"] as? Int == 1)
        let totals = try #require(document["totals"] as? [String: [String: Any]])
        let search = try #require(totals["search"])
        #expect((search["statuses"] as? [String: Int])?["ok"] == report.totals[.search]?.okCount)
        let summary = try #require(search["summary"] as? [String: Any])
        #expect(summary["p99"] as? UInt64 == report.totals[.search]?.times.percentile(99))
        let cluster = try #require(document["cluster"] as? [String: Any])
        #expect(cluster["shard_count"] as? Int == 3)
        #expect(document["resends"] as? [String: Int] == ["call_count": 3, "sending_count": 7])
        #expect(document["write_resends"] as? [String: Int] == ["call_count": 1, "sending_count": 4])
    }

    @Test func anotherFormatAndAnythingElseAreRefused() throws {
        let text = String(decoding: try SampleReport.make().json, as: UTF8.self)
        let newer = text.replacing("\"format\":1", with: "\"format\":2")
        #expect(newer != text)
        let error = #expect(throws: LoadTextError.self) { try LoadReport(json: Data(newer.utf8)) }
        #expect(error?.description == "the report has format 2; this program reads 1")
        for other in ["", "[]", "{\"format\":1}"] {
            #expect(throws: LoadTextError.self) { try LoadReport(json: Data(other.utf8)) }
        }
    }

    @Test func reportsOfPartsBecomeOne() throws {
        let parts = try [SampleReport.make(seed: 1), SampleReport.make(seed: 900)]
        let sum = try LoadReport.merged(parts)
        #expect(sum.all.count == parts[0].all.count + parts[1].all.count)
        #expect(sum.load.ratePerSecond == 200 && sum.load.processCount == 2 && sum.load.connectionCount == 16)
        #expect(sum.truth.checkedAnswerCount == 3400 && sum.truth.mateFoundCount == 1906)
        #expect(sum.faults.count == 1, "one fault that both saw")
        #expect(sum.resends == .init(callCount: 6, sendingCount: 14))
        #expect(sum.writeResends == .init(callCount: 2, sendingCount: 8))
        #expect(sum.series.windows[5].all.count == 200)
        #expect(sum.ramp == nil, "rates that one part tried")
        let objective = try LatencyObjective(#require(parts[0].objective))
        #expect(sum.objective == objective.description + ", faults left out" && sum.objectiveIsMet != nil)
        #expect(try LoadReport.merged([sum, parts[0]]).objective == sum.objective)
        var other = parts[1]
        other.objective = nil
        #expect(try LoadReport.merged([parts[0], other]).objectiveIsMet == nil)
        (other.resends, other.writeResends) = (nil, nil)
        #expect(try LoadReport.merged([parts[0], other]).resends == nil, "one part did not count them")
        #expect(try LoadReport.merged([parts[0], other]).writeResends == nil)
        var whole = parts[0].all.times
        whole.add(parts[1].all.times)
        #expect(sum.all.times == whole)
    }

    @Test func reportsOfDifferentLoadsAreNotMerged() throws {
        let one = try SampleReport.make()
        #expect(throws: LoadTextError.self) { try LoadReport.merged([]) }
        #expect(throws: LoadTextError.self) {
            try LoadReport.merged([one, try SampleReport.make(collection: "others")])
        }
        #expect(throws: LoadTextError.self) {
            try LoadReport.merged([one, try SampleReport.make(durationSeconds: 30)])
        }
    }

    /// Each other part as it may be, but for one thing, and what the refusal says.
    @Test func whatWasNotOneLoadIsNotMerged() throws {
        let (one, other) = try (SampleReport.make(seed: 1), SampleReport.make(seed: 900))
        #expect(try LoadReport.merged([one, other]).load.processCount == 2)
        let changes: [(says: String, change: (inout LoadReport) -> Void)] = [
            ("given twice", { $0 = one }), ("different mixes", { $0.load.mix = "search 100 %" }),
            ("different efforts", { $0.load.effort = "exact" }), ("numbers of matches", { $0.load.matchLimit = 50 }),
            ("least coverages", { $0.load.leastCoverage = 0.5 }), ("deadlines", { $0.load.timeoutSeconds = 9 }),
            ("sending again", { $0.load.retrySeconds = 9 }), ("arrivals", { $0.load.process = .constant }),
            ("at the same time", { $0.startedAt = "2026-01-31T13:00:00.250Z" }),
            ("when its load began", { $0.startedAt = "yesterday" }),
        ]
        for (says, change) in changes {
            var changing = other
            change(&changing)
            let changed = changing
            let error = #expect(throws: LoadTextError.self) { try LoadReport.merged([one, changed]) }
            #expect(error?.description.contains(says) == true, "\(says): \(error?.description ?? "")")
        }
        var late = other
        late.startedAt = "2026-01-31T12:00:01.750Z"
        #expect(try LoadReport.merged([one, late]).startedAt == one.startedAt)
    }

    @Test func searchesWithoutAnAnswerAreNoVerdict() throws {
        var report = try SampleReport.make()
        #expect(report.verdict == .sound)
        report.truth.checkedAnswerCount = 0
        #expect(report.verdict == .unanswered, "searches were made")
        report.totals = report.totals.filter { $0.key.isWrite }
        #expect(report.verdict == .sound, "a load of writes alone, which were answered")
        report.totals = [:]
        #expect(report.verdict == .unanswered)
        report.truth.findings.add(.lost, "face 7")
        #expect(report.verdict == .untrue)
        #expect(report.text.contains("NOT TRUE: 1 lost"))
    }

    @Test func theTextTellsWhatSamplesAreOf() throws {
        var report = try SampleReport.make()
        report.truth.deletedSearchCount = 2000
        (report.truth.deletedFaceCount, report.truth.deletedExactCount) = (13_000, 250)
        var own = TruthReport.OwnSearches()
        (own.knownCount, own.searchCount, own.foundCount) = (9000, 600, 599)
        report.truth.ownSearches = own
        report.truth.start = .init(wasExpected: false, removedCount: 3, restoredCount: 4)
        let text = report.text.replacing("\u{202F}", with: " ")
        #expect(text.contains("2 000 of 13 000 searched for with their own embeddings, 250 of them exactly"))
        #expect(text.contains("600 of 9 000 searched for with their own embeddings, exactly and by "))
        #expect(text.contains("which found 599"))
        #expect(text.contains("3 faces removed and 4 filled ones given back as what an earlier load left"))
        #expect(try LoadReport(json: try report.json) == report)
        var sum = report.truth
        sum.add(report.truth)
        #expect(sum.deletedFaceCount == 26_000 && sum.ownSearches?.searchCount == 1200)
    }

    @Test func moreThanTheEffortAllowsAreTooManyMisses() {
        #expect(SearchOptions.Effort.exact.mostMissed(of: 1000) == nil)
        #expect(SearchOptions.Effort.lists(3).mostMissed(of: 1000) == nil)
        // Three of a hundred, and four times the root of that.
        #expect(SearchOptions.Effort.recall(0.99).mostMissed(of: 1000) == 52)
        #expect(SearchOptions.Effort.full.mostMissed(of: 1000) == 52)
        #expect(SearchOptions.Effort.recall(0.9).mostMissed(of: 100) == 52)
    }

    @Test func faultsCutTheLoadIntoPhases() throws {
        var report = try SampleReport.make()
        #expect(report.phases.map(\.name) == ["before", "worker 2 killed", "after"])
        #expect(report.phases.map(\.fromSeconds) == [2, 10, 14])
        #expect(report.phases.map(\.toSeconds) == [10, 14, 22])
        #expect(report.phases.map(\.figures.count) == [800, 400, 800])
        #expect(report.phases[0].figures.errorShare == 0 && report.phases[1].figures.errorShare > 0.3)
        report.faults.append(.init(what: "worker 1 stopped", fromSeconds: 13, toSeconds: 16))
        report.faults.append(.init(what: "worker 3 killed", fromSeconds: 20, toSeconds: 25))
        #expect(
            report.phases.map(\.name)
                == ["before", "worker 2 killed, worker 1 stopped", "between", "worker 3 killed"]
        )
        #expect(report.phases.last?.toSeconds == 22)
        report.faults = []
        #expect(report.phases.isEmpty)
    }

    @Test func anObjectiveIsJudgedOutsideFaults() throws {
        var report = try SampleReport.make()
        let objective = try LatencyObjective("p99 <= 50ms")
        report.judge(objective)
        #expect(report.objectiveIsMet == true)
        #expect(report.objective == "p99 <= 50 ms, errors <= 0.1 %, faults left out")
        report.faults = []
        report.judge(objective)
        #expect(report.objectiveIsMet == false, "without a fault to explain them, slow answers count")
    }

    @Test func theTextHasTheVerdictAndTheTables() throws {
        var report = try SampleReport.make()
        let lines = report.text.split(separator: "\n")
        #expect(lines[0].hasPrefix("The answers were true: 0 lost, 0 resurrected"))
        for name in ["search ", "photo search", "enrol", "all ", "before", "worker 2 killed", "after", "p99 "] {
            #expect(lines.contains { $0.hasPrefix(name) }, "\(name) is missing in \(report.text)")
        }
        #expect(lines.contains { $0.hasPrefix("sent again ") && $0.hasSuffix("  3 calls, 7 times in all") })
        report.truth.findings.add(.resurrected, "face 7")
        #expect(report.text.contains("NOT TRUE: 0 lost, 1 resurrected"))
        #expect(report.text.contains("resurrected: face 7"))
    }

    @Test func sparklinesReachFromNothingToTheGreatest() {
        #expect(Sparkline.text([0, 1, 2, 3, 4, 5, 6, 7], width: 20) == "▁▂▃▄▅▆▇█")
        #expect(Sparkline.text([9, nil, 1], width: 2) == " █")
        #expect(Sparkline.text([0, 0], width: 9) == "▁▁")
    }

    @Test(
        arguments: [
            (0.0, "0 µs"), (999, "999 µs"), (1234, "1.23 ms"), (12_340, "12.3 ms"), (123_400, "123 ms"),
            (999_600, "1.00 s"), (2_000_000, "2.00 s"), (180e6, "3 min"),
        ]
    )
    func timesHaveThreeDigitsAndAUnit(_ microseconds: Double, _ text: String) {
        #expect(FigureText.time(microseconds) == text)
    }

    @Test func sharesAreNeverRoundedToAllOrNothing() {
        #expect(FigureText.share(1) == "100 %" && FigureText.share(0) == "0 %")
        #expect(FigureText.share(0.999_999) == "> 99.99 %" && FigureText.share(0.000_001) == "< 0.01 %")
        #expect(FigureText.share(0.9543) == "95.4 %" && FigureText.share(0.9987) == "99.87 %")
        #expect(FigureText.count(1_234_567) == "1\u{202F}234\u{202F}567")
    }
}
