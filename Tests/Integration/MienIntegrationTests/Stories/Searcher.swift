import MienClient
import Testing

/// Searches for faces that nobody changes, one search after the other; each must be found, and all of it covered.
actor Searcher {
    struct Tally {
        /// Of answers: when each was asked for, and how long it took.
        var answers: [(start: ContinuousClock.Instant, time: Duration)] = []
        /// Refusals, and what is not true.
        private(set) var failures: [String] = []
        /// When each of those was asked for.
        private var failureStarts: [ContinuousClock.Instant] = []
        /// Answers that do not have what they say that they have.
        var untrue: [String] = []
        /// Answers that say that something is missing.
        var partialCount = 0
        var times: [Duration] { answers.map(\.time) }
        var count: Int { answers.count + failures.count - untrue.count }

        mutating func note(_ failure: String, askedAt start: ContinuousClock.Instant) {
            failures.append(failure)
            failureStarts.append(start)
        }

        /// Failures of searches that began at a time or later.
        func failures(since time: ContinuousClock.Instant) -> [String] {
            zip(failureStarts, failures).filter { $0.0 >= time }.map(\.1)
        }

        /// Answers that were under way in one of these times.
        func during(_ spans: [Range<ContinuousClock.Instant>]) -> Tally {
            var part = Tally()
            part.answers = answers.filter { answer in
                spans.contains { answer.start < $0.upperBound && answer.start + answer.time > $0.lowerBound }
            }
            return part
        }

        func percentile(_ share: Double) -> Duration {
            let sorted = times.sorted()
            return sorted.isEmpty ? .zero : sorted[min(sorted.count - 1, Int(Double(sorted.count) * share))]
        }

        var distribution: String {
            "50th, 99th and 99.9th percentile \(percentile(0.5)), \(percentile(0.99)) and \(percentile(0.999)), "
                + "longest \(percentile(1))"
        }
    }

    static let faces = (1...30).map { Face.ID(high: 0xfeed, low: UInt64($0)) }
    private let client: MienClient
    private let coverage: SearchOptions.Coverage
    private(set) var tally = Tally()

    /// - Parameter coverage: what answers are asked to cover; one that covers all must have the face.
    init(_ client: MienClient, coverage: SearchOptions.Coverage = .full) async throws {
        self.client = client
        self.coverage = coverage
        try await Self.enrolFaces(client)
    }

    /// What was counted so far; counting begins anew.
    func takeTally() -> Tally {
        defer { tally = Tally() }
        return tally
    }

    /// The same content each time: it changes nothing of what is found.
    static func enrolFaces(_ client: MienClient) async throws {
        _ = try await client.enrol(
            faces.map { NewFace(id: $0) },
            embeddings: embeddings(faces),
            into: FaceWriter.collection,
            model: FaceWriter.model
        )
    }

    static func embeddings(_ faces: some Sequence<Face.ID>) -> Embeddings {
        Embeddings(
            dimension: FaceWriter.dimension,
            values: faces.flatMap { FaceLedger.embedding($0, version: 0, dimension: FaceWriter.dimension) }
        )
    }

    func searching(until pause: FaceWriter.Pause) async {
        var number = 0
        while !pause.isAsked, !Task.isCancelled {
            let face = Self.faces[number % Self.faces.count]
            number += 1
            let start = ContinuousClock.now
            do throws(MienClientError) {
                let results = try await client.search(
                    FaceWriter.collection,
                    probes: Self.embeddings([face]),
                    model: FaceWriter.model,
                    options: SearchOptions(matchLimit: 3, effort: .exact, coverage: coverage)
                )
                tally.answers.append((start, ContinuousClock.now - start))
                if coverage != .full, !results.coverage.isFull {
                    tally.partialCount += 1
                } else if case .matches(let matches)? = results.outcomes.first, matches.first?.id == face,
                    results.coverage.isFull
                {
                    // As it should be.
                } else {
                    tally.note("a face was not found: \(results)", askedAt: start)
                    tally.untrue.append("a face was not found: \(results)")
                }
            } catch {
                tally.note("\(error)", askedAt: start)
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
