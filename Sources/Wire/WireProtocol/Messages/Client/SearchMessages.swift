package import FaceModel

/// How much of the collection an answer must cover.
package enum CoverageRequirement: Hashable, Sendable {
    /// Every shard in full, or an error that names the missing ones.
    case full
    /// At least this share of the faces, 0…1; the answer says what it covers.
    case minimum(Double)
}

package struct SearchFaces: Sendable {
    package var collection: String
    package var embeddingModel: String
    package var parameters: SearchParameters
    package var coverage: CoverageRequirement
    package var token: ConsistencyToken?
    /// 1–1024 probes of any non-zero length; normalised by the coordinator.
    package var probes: EmbeddingMatrix

    package init(
        collection: String,
        embeddingModel: String,
        parameters: SearchParameters,
        coverage: CoverageRequirement,
        token: ConsistencyToken? = nil,
        probes: EmbeddingMatrix
    ) {
        self.collection = collection
        self.embeddingModel = embeddingModel
        self.parameters = parameters
        self.coverage = coverage
        self.token = token
        self.probes = probes
    }
}

/// Searches with a stored face as the probe; the face itself is not among the matches.
package struct SearchByFace: Hashable, Sendable {
    package var collection: String
    package var faceID: FaceID
    package var parameters: SearchParameters
    package var coverage: CoverageRequirement
    package var token: ConsistencyToken?

    package init(
        collection: String,
        faceID: FaceID,
        parameters: SearchParameters,
        coverage: CoverageRequirement,
        token: ConsistencyToken? = nil
    ) {
        self.collection = collection
        self.faceID = faceID
        self.parameters = parameters
        self.coverage = coverage
        self.token = token
    }
}

/// What became of one probe.
package enum ProbeOutcome: Sendable {
    /// Best first; fewer than asked for only when fewer live faces qualify.
    case matches([Match])
    case rejected(RowRejection)
}

package struct SearchAnswer: Sendable {
    /// One per probe, in order.
    package var outcomes: [ProbeOutcome]
    package var coverage: Coverage
    /// Time from the request's arrival to the answer's encoding, at the coordinator.
    package var elapsedMicroseconds: UInt64

    package init(outcomes: [ProbeOutcome], coverage: Coverage, elapsedMicroseconds: UInt64) {
        self.outcomes = outcomes
        self.coverage = coverage
        self.elapsedMicroseconds = elapsedMicroseconds
    }
}
