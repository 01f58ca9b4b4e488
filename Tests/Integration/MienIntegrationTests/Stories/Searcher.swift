import MienClient
import Testing

/// Searches for faces that nobody changes, for all of them at once, one search after the other. Each must be found
/// where its shard answered, and none of a shard that did not; and all of it covered, unless less is asked for. They
/// come in another order each time: a request that workers were lost under is refused for minutes, and only that one.
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
        private(set) var partialCount = 0
        /// Those of them of which it is known which faces they may not have and must have. All are judged, these by it.
        private(set) var judgedCount = 0
        /// Of the judged answers those that lack one shard and no more, by its number.
        private(set) var lackingCounts: [Int: Int] = [:]
        /// How far the share of faces that these told was from the share of the shards that had answered, at most.
        private(set) var greatestShareDeviation = 0.0
        var times: [Duration] { answers.map(\.time) }
        var count: Int { answers.count + failures.count - untrue.count }

        mutating func note(_ failure: String, askedAt start: ContinuousClock.Instant) {
            failures.append(failure)
            failureStarts.append(start)
        }

        fileprivate mutating func notePartial(_ answer: SearchJudge.Answer, by judge: SearchJudge) {
            partialCount += 1
            guard judge.knowsWhatIsMissing(in: answer) else { return }
            judgedCount += 1
            if answer.missing.count == 1 { lackingCounts[answer.missing[0], default: 0] += 1 }
            let shards = Double(answer.shardsAnswered) / Double(max(answer.shardsAsked, 1))
            greatestShareDeviation = max(greatestShareDeviation, abs(answer.share - shards))
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
    private let rest: Duration
    private let judge: SearchJudge
    private(set) var tally = Tally()

    /// - Parameters:
    ///   - coverage: what answers are asked to cover. For less than all the collection must not have had any faces yet,
    ///     so that which shard has which can be learnt.
    ///   - rest: between two searches.
    init(
        _ client: MienClient,
        coverage: SearchOptions.Coverage = .full,
        rest: Duration = .milliseconds(5)
    ) async throws {
        try await Self.enrolFaces(client)
        var shards: [Int: Set<Face.ID>] = [:]
        if coverage != .full { shards = try await Self.shards(client) }
        judge = SearchJudge(faces: Self.faces, shards: shards)
        self.client = client
        self.coverage = coverage
        self.rest = rest
    }

    /// Which shard has which faces, by the cluster's own account: a listing goes along the ring, and in each shard by
    /// identity, and a description has the shards in that order, with how many faces each has.
    private static func shards(_ client: MienClient) async throws -> [Int: Set<Face.ID>] {
        try await eventually("the shards tell of the faces that are searched for", within: .seconds(30)) {
            let shards = try await client.describe(FaceWriter.collection).shards
            var listed: [Face.ID] = []
            for try await page in client.allFaces(in: FaceWriter.collection) { listed += page.map(\.id) }
            guard Set(listed).isSubset(of: faces) else { throw StoryError("the collection has other faces") }
            let counts = shards.map { Int($0.faceCount) }
            // Both come late.
            guard listed.count == faces.count, counts.reduce(0, +) == faces.count else { return nil }
            var found: [Int: Set<Face.ID>] = [:]
            var rest = listed[...]
            for (shard, count) in zip(shards, counts) {
                let part = rest.prefix(count)
                guard part.elementsEqual(part.sorted()) else {
                    throw StoryError("the shard \(shard.index) lists its faces in another order: \(part)")
                }
                found[shard.index] = Set(part)
                rest = rest.dropFirst(count)
            }
            return found
        }
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
        let embeddings = Self.faces.map { FaceLedger.embedding($0, version: 0, dimension: FaceWriter.dimension) }
        let options = SearchOptions(matchLimit: 3, effort: .exact, coverage: coverage)
        var number = 0
        while !pause.isAsked, !Task.isCancelled {
            let shift = number % embeddings.count
            number += 1
            let order = Array(embeddings[shift...] + embeddings[..<shift])
            let probes = Embeddings(dimension: FaceWriter.dimension, values: order.flatMap { $0 })
            let start = ContinuousClock.now
            do throws(MienClientError) {
                let results = try await client.search(
                    FaceWriter.collection,
                    probes: probes,
                    model: FaceWriter.model,
                    options: options
                )
                tally.answers.append((start, ContinuousClock.now - start))
                var answer = SearchJudge.Answer(results)
                if answer.matches.count == order.count {
                    // In the order of the judge's faces.
                    let first = order.count - shift
                    answer.matches = Array(answer.matches[first...] + answer.matches[..<first])
                }
                note(answer, askedAt: start)
            } catch {
                tally.note("\(error)", askedAt: start)
            }
            try? await Task.sleep(for: rest)
        }
    }

    private func note(_ answer: SearchJudge.Answer, askedAt start: ContinuousClock.Instant) {
        var fault = judge.fault(of: answer)
        if !answer.isFull {
            if coverage == .full {
                fault = fault ?? "an answer that was to be full is without the shards \(answer.missing)"
            } else {
                tally.notePartial(answer, by: judge)
            }
        }
        guard let fault else { return }
        tally.note(fault, askedAt: start)
        tally.untrue.append(fault)
    }
}
