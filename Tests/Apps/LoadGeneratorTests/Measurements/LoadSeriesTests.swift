import Foundation
import LoadGenerator
import Testing

@Suite struct LoadSeriesTests {
    @Test func aCallBelongsToTheWindowOfItsIntendedStart() {
        var series = LoadSeries(window: .seconds(1), warmUp: .seconds(2))
        series.record(.search, .ok, at: .milliseconds(2999), .seconds(5))
        series.record(.search, .failed("unavailable"), at: .milliseconds(3000), .milliseconds(1))
        series.record(.enrol, .partial, at: .milliseconds(500), .milliseconds(3))
        series.noteInFlight(7, at: .milliseconds(2100))
        series.noteInFlight(4, at: .milliseconds(2200))
        #expect(series.windows.count == 4)
        #expect(series.windows.map(\.all.count) == [1, 0, 1, 1])
        #expect(series.windows.map(\.mostInFlight) == [0, 0, 7, 0])
        #expect(series.windows[2].all.times.percentile(50) >= 4_950_000)
        #expect(series.windows[3].all.times.isEmpty, "a failed call has no time")
        #expect(series.figures(from: 2, to: 4).count == 2)
        #expect(series.figures(from: 2, to: 3).count == 1)
    }

    @Test func seriesOfSeveralProcessesAddUpToThatOfOne() {
        var whole = LoadSeries(window: .seconds(1), warmUp: .zero)
        var parts = [whole, whole, whole]
        for call in 0..<3000 {
            let at = Duration.milliseconds(call * 7)
            let operation: LoadOperation = call.isMultiple(of: 5) ? .enrol : .search
            let status: CallFigures.Status = call.isMultiple(of: 11) ? .failed("overloaded") : .ok
            let time = Duration.microseconds(100 + call * call % 90_001)
            whole.record(operation, status, at: at, time)
            parts[call % 3].record(operation, status, at: at, time)
            if call.isMultiple(of: 13) {
                whole.noteCompared(required: 10, found: call % 11, at: at)
                parts[call % 3].noteCompared(required: 10, found: call % 11, at: at)
            }
        }
        var sum = parts[0]
        sum.add(parts[1])
        sum.add(parts[2])
        #expect(sum == whole)
    }

    @Test func matchesOfComparedAnswersBelongToTheWindowOfTheirSearch() throws {
        var series = LoadSeries(window: .seconds(2), warmUp: .zero)
        series.record(.search, .ok, at: .milliseconds(500), .milliseconds(1))
        series.noteCompared(required: 10, found: 9, at: .milliseconds(4500))
        series.noteCompared(required: 4, found: 4, at: .milliseconds(5999))
        #expect(series.windows.map(\.requiredMatchCount) == [nil, nil, 14])
        #expect(series.windows.map(\.foundMatchCount) == [nil, nil, 13])
        // A report of a program that did not tell.
        let json = try JSONEncoder().encode(series)
        let older = String(decoding: json, as: UTF8.self)
            .replacing(/,"(required|found)MatchCount":[0-9]+|"(required|found)MatchCount":[0-9]+,/, with: "")
        #expect(!older.contains("MatchCount"))
        let read = try JSONDecoder().decode(LoadSeries.self, from: Data(older.utf8))
        #expect(read.windows.count == 3 && read.windows.allSatisfy { $0.requiredMatchCount == nil })
    }

    @Test func figuresTellHowCallsEnded() {
        var figures = CallFigures()
        for _ in 0..<95 { figures.record(.ok, .milliseconds(2)) }
        figures.record(.partial, .milliseconds(9))
        figures.record(.notSent, .zero)
        for _ in 0..<3 { figures.record(.failed("deadlineExceeded"), .seconds(2)) }
        #expect(figures.count == 100 && figures.okCount == 95 && figures.partialCount == 1)
        #expect(figures.notSentCount == 1 && figures.failedCount == 3)
        #expect(figures.errorShare == 0.05)
        #expect(figures.times.count == 96 && figures.times.longestMicroseconds < 10_000)
        #expect(figures.problems.map(\.name) == ["deadlineExceeded", "notSent", "partial"])
    }
}
