import MienClient

/// Searches exactly for the nearest of 120 faces that nobody changes, whatever else is written beside them,
/// and compares every answer with inner products of its own.
actor OracleSearcher {
    private static let probeCount = 30
    private static let matchLimit = 10
    /// More than what float16 makes of a product of two directions.
    private static let tolerance: Float = 2e-3
    private static let mark = ["kept": "for-the-oracle"]

    static let faces = (1...120).map { Face.ID(high: 0xac1e, low: UInt64($0)) }
    private static let probes = (1...probeCount).map { number in
        FaceLedger.embedding(Face.ID(high: 0xac1f, low: UInt64(number)), version: 0, dimension: FaceWriter.dimension)
    }

    private let client: MienClient
    /// For each probe the similarity of every face.
    private let similarities: [[Face.ID: Float]]
    /// For each probe those of the nearest, in falling order.
    private let nearest: [[Float]]
    /// Answers that were compared, of all probes each.
    private(set) var answerCount = 0
    /// Refusals, and what is not true, a sentence each.
    private(set) var failures: [String] = []

    init(_ client: MienClient) async throws {
        self.client = client
        let embeddings = Self.faces.map { FaceLedger.embedding($0, version: 0, dimension: FaceWriter.dimension) }
        let products = Self.probes.map { probe in
            embeddings.map { embedding in zip(embedding, probe).reduce(Float(0)) { $0 + $1.0 * $1.1 } }
        }
        similarities = products.map { Dictionary(zip(Self.faces, $0)) { first, _ in first } }
        nearest = products.map { Array($0.sorted(by: >).prefix(Self.matchLimit)) }
        _ = try await client.enrol(
            Self.faces.map { NewFace(id: $0, metadata: Face.Metadata(attributes: Self.mark)) },
            embeddings: Embeddings(dimension: FaceWriter.dimension, values: embeddings.flatMap { $0 }),
            into: FaceWriter.collection,
            model: FaceWriter.model
        )
    }

    func searching(until pause: FaceWriter.Pause) async {
        while !pause.isAsked, !Task.isCancelled {
            do throws(MienClientError) {
                let results = try await client.search(
                    FaceWriter.collection,
                    probes: Embeddings(dimension: FaceWriter.dimension, values: Self.probes.flatMap { $0 }),
                    model: FaceWriter.model,
                    options: SearchOptions(
                        matchLimit: Self.matchLimit,
                        effort: .exact,
                        coverage: .full,
                        filter: SearchOptions.Filter(attributes: Self.mark)
                    )
                )
                answerCount += 1
                for probe in Self.probes.indices {
                    if let fault = fault(of: results, probe: probe) { failures.append(fault) }
                }
            } catch {
                failures.append("\(error)")
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// What is not true of the answer to a probe; nil when all is.
    private func fault(of results: SearchResults, probe: Int) -> String? {
        guard results.outcomes.count == Self.probeCount, case .matches(let matches) = results.outcomes[probe],
            matches.count == Self.matchLimit, Set(matches.map(\.id)).count == Self.matchLimit, results.coverage.isFull
        else { return "the oracle's probe \(probe) has not \(Self.matchLimit) matches of all shards: \(results)" }
        for (rank, match) in matches.enumerated() {
            // Faces that are as similar but for roundings may change places.
            guard let due = similarities[probe][match.id], abs(due - nearest[probe][rank]) < Self.tolerance,
                abs(match.similarity - due) < Self.tolerance
            else {
                return "of the oracle's probe \(probe), rank \(rank) is \(match.id) at \(match.similarity), and "
                    + "\(nearest[probe][rank]) is due"
            }
        }
        return nil
    }
}
