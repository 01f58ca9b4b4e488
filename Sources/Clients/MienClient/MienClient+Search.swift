import WireProtocol

extension MienClient {
    /// Searches a collection for the faces most similar to each probe.
    ///
    /// - Parameters:
    ///   - probes: 1 to 1024 embeddings of any non-zero length; a bad one does not hold up the rest.
    ///   - model: what made the probes; the collection's model.
    ///   - write: a write that the search must see.
    /// - Throws: `incompleteCoverage` when less of the collection answers than `options.coverage` asks for.
    public func search(
        _ collection: String,
        probes: Embeddings,
        model: String,
        options: SearchOptions = SearchOptions(),
        after write: WriteToken? = nil
    ) async throws(MienClientError) -> SearchResults {
        let answer = try await caller.call(
            SearchFaces(
                collection: collection,
                embeddingModel: model,
                parameters: options.parameters,
                coverage: options.coverage.requirement,
                token: write?.value,
                probes: probes.matrix
            )
        )
        guard answer.outcomes.count == probes.count else {
            throw MienClientError(
                code: .internalError,
                message: "the coordinator answered \(answer.outcomes.count) outcomes for \(probes.count) probes"
            )
        }
        return SearchResults(answer)
    }

    /// Searches with a stored face as the probe; the face itself is not among the matches.
    ///
    /// - Throws: also `notFound` when the face is not there.
    public func search(
        _ collection: String,
        face: Face.ID,
        options: SearchOptions = SearchOptions(),
        after write: WriteToken? = nil
    ) async throws(MienClientError) -> SearchResults {
        SearchResults(
            try await caller.call(
                SearchByFace(
                    collection: collection,
                    faceID: face.value,
                    parameters: options.parameters,
                    coverage: options.coverage.requirement,
                    token: write?.value
                )
            )
        )
    }
}
