package import MienClient

/// Enrols the filled faces of a population: made on the way, some batches at a time, without any file.
package struct GalleryFill: Sendable {
    /// Rows that the generator makes at once; batches are multiples of it.
    private static let blockFaceCount = 128

    private let client: MienClient
    private let collection: String
    private let model: String
    private let population: LoadPopulation
    private let batchFaceCount: Int
    private let inFlightLimit: Int

    /// - Parameters:
    ///   - batchFaceCount: faces of one request, rounded up to a multiple of 128.
    ///   - inFlightLimit: batches being made or sent at once; memory is bounded by them.
    package init(
        client: MienClient,
        collection: String,
        model: String,
        population: LoadPopulation,
        batchFaceCount: Int = 1024,
        inFlightLimit: Int = 4
    ) {
        precondition(batchFaceCount > 0 && inFlightLimit > 0, "a fill without batches")
        self.client = client
        self.collection = collection
        self.model = model
        self.population = population
        let blocks = (batchFaceCount + Self.blockFaceCount - 1) / Self.blockFaceCount
        self.batchFaceCount = blocks * Self.blockFaceCount
        self.inFlightLimit = inFlightLimit
    }

    /// Why a fill stopped, and the face from which on it must go on.
    package struct Interruption: Error {
        package var error: MienClientError
        package var firstUnknownFace: Int
    }

    /// Enrols every face of a range that is not there as it should be.
    ///
    /// - Parameters:
    ///   - asksFirst: whether the cluster is asked which faces it has; not worth it when it has none.
    ///   - progress: called after each batch.
    package func run(
        _ faces: Range<Int>,
        asksFirst: Bool,
        progress: (FillTally) -> Void
    ) async throws(Interruption) -> FillTally {
        let start = ContinuousClock.now
        var tally = FillTally()
        let result = await withTaskGroup(of: BatchResult.self) { group -> Result<Void, Interruption> in
            var underWay: Set<Int> = []
            var next = faces.lowerBound
            while true {
                while next < faces.upperBound, underWay.count < inFlightLimit {
                    // Batches end at multiples of the block, wherever the fill begins.
                    let end = min(faces.upperBound, (next / batchFaceCount + 1) * batchFaceCount)
                    let batch = next..<end
                    underWay.insert(next)
                    group.addTask { await enrol(batch, asksFirst: asksFirst) }
                    next = end
                }
                guard let batch = await group.next() else { return .success(()) }
                switch batch.outcome {
                case .failure(let error):
                    group.cancelAll()
                    return .failure(Interruption(error: error, firstUnknownFace: underWay.min() ?? next))
                case .success(let counts):
                    underWay.remove(batch.faces.lowerBound)
                    tally.add(counts, at: ContinuousClock.now - start)
                    progress(tally)
                }
            }
        }
        try result.get()
        return tally
    }

    private struct BatchResult: Sendable {
        var faces: Range<Int>
        var outcome: Result<FillTally.Batch, MienClientError>
    }

    private func enrol(_ faces: Range<Int>, asksFirst: Bool) async -> BatchResult {
        do throws(MienClientError) {
            return BatchResult(faces: faces, outcome: .success(try await store(faces, asksFirst: asksFirst)))
        } catch {
            return BatchResult(faces: faces, outcome: .failure(error))
        }
    }

    private func store(_ faces: Range<Int>, asksFirst: Bool) async throws(MienClientError) -> FillTally.Batch {
        var batch = FillTally.Batch()
        let ids = faces.map(population.faceID)
        var wanted = Array(faces)
        if asksFirst {
            var stored: [Face.ID: Face.Metadata] = [:]
            for face in try await client.faces(ids, in: collection) { stored[face.id] = face.metadata }
            wanted = faces.filter {
                guard let metadata = stored[ids[$0 - faces.lowerBound]] else { return true }
                return metadata.imageID != nil || metadata.personID != population.metadata(ofImage: $0).personID
            }
            batch.present = faces.count - wanted.count
            guard !wanted.isEmpty else { return batch }
        }
        let dimension = population.dimension
        var values = population.embeddings(of: faces)
        if wanted.count < faces.count {
            values = wanted.flatMap { face in
                let row = (face - faces.lowerBound) * dimension
                return values[row..<row + dimension]
            }
        }
        let start = ContinuousClock.now
        let receipt = try await client.enrol(
            wanted.map { NewFace(id: ids[$0 - faces.lowerBound], metadata: population.metadata(ofImage: $0)) },
            embeddings: Embeddings(dimension: dimension, values: values),
            into: collection,
            model: model
        )
        batch.time = ContinuousClock.now - start
        for outcome in receipt.outcomes {
            switch outcome {
            case .accepted: batch.accepted += 1
            case .replaced, .superseded: batch.replaced += 1
            case .rejected: batch.rejected += 1
            }
        }
        return batch
    }
}
