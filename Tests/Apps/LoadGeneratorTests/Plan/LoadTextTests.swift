import LoadGenerator
import Testing

@Suite struct LoadTextTests {
    @Test func timesAreRead() throws {
        #expect(try LoadText.duration("500ms") == .milliseconds(500))
        #expect(try LoadText.duration("1.5s") == .milliseconds(1500))
        #expect(try LoadText.duration("2m") == .seconds(120))
        #expect(try LoadText.duration("1h") == .seconds(3600))
        for text in ["", "5", "s", "-1s", "1 s", "1d", "1.2.3s", "1e3s"] {
            #expect(throws: LoadTextError.self, "\(text)") { try LoadText.duration(text) }
        }
    }

    @Test func streamsAreRead() throws {
        let streams = try VideoStreams("count=8,fps=12.5,faces=2,track=3s")
        #expect(streams.count == 8 && streams.framesPerSecond == 12.5 && streams.faceCount == 2)
        #expect(streams.trackDuration == .seconds(3))
        #expect(streams.description == "8 streams of 12.5 frames/s with 2 faces, each for 3 s")
        for text in ["", "count=0", "fps=0", "fps=many", "track=0s", "track=0.9ms", "zoom=2"] {
            #expect(throws: LoadTextError.self, "\(text)") { try VideoStreams(text) }
        }
    }

    @Test func peopleStayInThePictureForAsLongAsTheirTrack() throws {
        let streams = try VideoStreams("count=2,fps=10,faces=2,track=5s")
        func person(_ seconds: Double, stream: Int = 0, place: Int = 0) -> Int {
            streams.person(stream: stream, place: place, at: .seconds(seconds), of: 1_000_000)
        }
        let persons = (0..<600).map { person(Double($0) / 10) }
        let changes = zip(persons, persons.dropFirst()).count { $0 != $1 }
        #expect((11...12).contains(changes), "\(changes) changes in a minute")
        #expect(person(1) != person(1, place: 1) && person(1) != person(1, stream: 1))
    }

    @Test func clustersAreRead() throws {
        let plan = try ClusterPlan("workers=5,worker.search_threads=1,coordinator.worker_timeout=1s")
        #expect(plan.workerCount == 5)
        #expect(plan.workerSettings == ["worker.search_threads=1"])
        #expect(plan.coordinatorSettings == ["coordinator.worker_timeout=1s"])
        for text in ["", "workers=0", "workers=many", "threads=2"] {
            #expect(throws: LoadTextError.self, "\(text)") { try ClusterPlan(text) }
        }
    }

    @Test func objectivesAreReadAndHeldAgainstTimes() throws {
        let objective = try LatencyObjective("p99.9 <= 20ms, errors <= 1%")
        #expect(objective.description == "p99.9 <= 20 ms, errors <= 1 %")
        #expect(try LatencyObjective(objective.description) == objective)
        var figures = CallFigures()
        for _ in 0..<9990 { figures.record(.ok, .milliseconds(5)) }
        #expect(objective.isMet(by: figures))
        for _ in 0..<10 { figures.record(.ok, .milliseconds(30)) }
        #expect(objective.isMet(by: figures), "one of a thousand may take longer")
        figures.record(.ok, .milliseconds(30))
        #expect(!objective.isMet(by: figures))
        #expect(!objective.isMet(by: CallFigures()))
        for text in ["", "p99", "p99 < 5ms", "p0 <= 5ms", "p99 <= 5", "errors <= 1%", "p99 <= 5ms, errors <= 1"] {
            #expect(throws: LoadTextError.self, "\(text)") { try LatencyObjective(text) }
        }
    }

    @Test func whatIsNotAnsweredTakesLongerThanAnyLimit() throws {
        let (strict, loose) = (try LatencyObjective("p99 <= 20ms, errors <= 5%"), try LatencyObjective("p90 <= 20ms"))
        var figures = CallFigures()
        for _ in 0..<990 { figures.record(.ok, .milliseconds(5)) }
        for _ in 0..<10 { figures.record(.failed("overloaded"), .seconds(2)) }
        #expect(strict.isMet(by: figures))
        #expect(figures.percentileOfAll(99).map { $0 < 6000 } == true && figures.percentileOfAll(99.5) == nil)
        figures.record(.notSent, .zero)
        #expect(figures.errorShare < 0.05)
        #expect(!strict.isMet(by: figures), "more than one of a hundred calls had no answer")
        #expect(!loose.isMet(by: figures), "more errors than 0.1 %")
    }
}
