import MienClient
import Testing

/// Searches for faces that nobody changes, one search after the other; each must be found, and all of it covered.
actor Searcher {
    struct Tally {
        var times: [Duration] = []
        var failures: [String] = []
        var count: Int { times.count + failures.count }

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
    private(set) var tally = Tally()

    init(_ client: MienClient) async throws {
        self.client = client
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

    private static func embeddings(_ faces: [Face.ID]) -> Embeddings {
        Embeddings(
            dimension: FaceWriter.dimension,
            values: faces.flatMap { FaceLedger.embedding($0, version: 0, dimension: FaceWriter.dimension) }
        )
    }

    func searching(until pause: FaceWriter.Pause) async {
        var number = 0
        while !pause.isAsked {
            let face = Self.faces[number % Self.faces.count]
            number += 1
            let start = ContinuousClock.now
            do throws(MienClientError) {
                let results = try await client.search(
                    FaceWriter.collection,
                    probes: Self.embeddings([face]),
                    model: FaceWriter.model,
                    options: SearchOptions(matchLimit: 3, effort: .exact, coverage: .full)
                )
                tally.times.append(ContinuousClock.now - start)
                guard case .matches(let matches)? = results.outcomes.first, matches.first?.id == face,
                    results.coverage.isFull
                else {
                    tally.failures.append("a face was not found: \(results)")
                    continue
                }
            } catch {
                tally.failures.append("\(error)")
            }
            try? await Task.sleep(for: .milliseconds(5))
        }
    }
}
