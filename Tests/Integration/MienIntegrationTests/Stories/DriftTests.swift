import MienClient
import Synchronization
import Testing

extension Integration {
    /// Faces that come are of another kind than those that the codebook was trained on: a new one follows by itself,
    /// and nobody who searches meanwhile notices.
    @Suite struct DriftTests {
        private static let model = "drift"
        private static let firstCount = 6000
        private static let laterCount = 2500

        struct Drift: CustomTestStringConvertible {
            var dimension: Int
            /// By which the codebook is seen not to fit.
            var cause: CollectionInfo.CodebookStanding.Cause
            var testDescription: String { "of \(dimension) components" }
        }

        /// Of 128 components all are coded, but the lists do not divide what is new. Of 384, two segments of 128 are
        /// coded, which hold all of the first kind, and a third of the energy of the other.
        static let drifts = [Drift(dimension: 128, cause: .imbalance), Drift(dimension: 384, cause: .energy)]

        @Test(.timeLimit(.minutes(3)), arguments: drifts)
        func aNewKindOfFacesBringsANewCodebook(drift: Drift) async throws {
            let dimension = drift.dimension
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    coordinatorSettings: [
                        "coordinator.training.min_faces=\(Self.firstCount)", "coordinator.training.sample=6000",
                    ],
                    workerSettings: ["worker.background_percent=100"]
                )
                try await cluster.start()
                let client = try cluster.client()
                _ = try await client.createCollection(
                    CollectionOptions(
                        name: "people",
                        dimension: dimension,
                        embeddingModel: Self.model,
                        shardCount: 2
                    )
                )
                var random = SeededRandom(seed: SeededRandom.storySeed("drift"))
                // Of one kind are faces in the first half of the components, of the other those in the second.
                let first = (0..<Self.firstCount).map { _ in Self.face(isLater: false, dimension, &random) }
                try await enrol(first, from: 0, client)
                _ = try await eventually("the first codebook is there", within: .seconds(60)) {
                    try await isSettled(client, generation: 1) ? true : nil
                }
                #expect(try await client.describe("people").standing?.cause == .first)

                let isOver = Atomic(false)
                let later = (0..<Self.laterCount).map { _ in Self.face(isLater: true, dimension, &random) }
                let known = Self.probes(of: first, &random)
                let searching = Task {
                    var count = 0
                    while !isOver.load(ordering: .relaxed) {
                        try await expectFound(known, from: 0, client)
                        count += 1
                    }
                    return count
                }
                let standing: CollectionInfo.CodebookStanding
                do {
                    defer { isOver.store(true, ordering: .relaxed) }
                    try await enrol(later, from: Self.firstCount, client)
                    standing = try await eventually("a codebook for both kinds is there", within: .seconds(80)) {
                        try await isSettled(client, generation: 2) ? client.describe("people").standing : nil
                    }
                }
                #expect(standing.cause == drift.cause, "\(standing)")
                #expect(standing.faceCount > UInt64(Self.firstCount))
                #expect(try await searching.value > 0)
                try await expectFound(Self.probes(of: later, &random), from: Self.firstCount, client)
                try await expectFound(known, from: 0, client)
                await client.close()
            }
        }

        /// Whether all codes are those of one generation and hardly a row is without.
        private func isSettled(_ client: MienClient, generation: Int) async throws -> Bool {
            let description = try await client.describe("people")
            return description.codebook?.generation == generation && description.training == .trained
                && description.shards.allSatisfy {
                    $0.freshCount < 128 && $0.generation == generation && $0.olderGeneration == 0
                }
        }

        private static func face(isLater: Bool, _ dimension: Int, _ random: inout SeededRandom) -> [Float] {
            let half = random.direction(dimension: dimension / 2)
            let none = [Float](repeating: 0, count: dimension / 2)
            return isLater ? none + half : half + none
        }

        /// A probe at a cosine of about 0.8 for each of 100 faces.
        private static func probes(of faces: [[Float]], _ random: inout SeededRandom) -> [(face: Int, probe: [Float])] {
            stride(from: 0, to: faces.count, by: faces.count / 100).map { index in
                let noise = random.direction(dimension: faces[index].count)
                return (index, zip(faces[index], noise).map { 0.8 * $0 + 0.6 * $1 })
            }
        }

        private func enrol(_ faces: [[Float]], from first: Int, _ client: MienClient) async throws {
            for start in stride(from: 0, to: faces.count, by: 500) {
                let rows = start..<min(start + 500, faces.count)
                _ = try await client.enrol(
                    rows.map { NewFace(id: Self.id(first + $0)) },
                    embeddings: Embeddings(dimension: faces[0].count, values: rows.flatMap { faces[$0] }),
                    into: "people",
                    model: Self.model
                )
            }
        }

        private static func id(_ number: Int) -> Face.ID { Face.ID(high: 0xd21f7, low: UInt64(number)) }

        /// The default effort finds nearly every probe's face first, and covers everything.
        private func expectFound(
            _ probes: [(face: Int, probe: [Float])],
            from first: Int,
            _ client: MienClient
        ) async throws {
            let results = try await client.search(
                "people",
                probes: Embeddings(dimension: probes[0].probe.count, values: probes.flatMap(\.probe)),
                model: Self.model,
                options: SearchOptions(matchLimit: 1)
            )
            #expect(results.coverage.isFull)
            let found = zip(probes, results.outcomes).count { probe, outcome in
                guard case .matches(let matches) = outcome else { return false }
                return matches.first?.id == Self.id(first + probe.face)
            }
            #expect(Double(found) >= 0.95 * Double(probes.count), "\(found) of \(probes.count) faces were found")
        }
    }
}
