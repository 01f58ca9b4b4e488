package import ClusterModel
package import FaceModel

/// Addresses one replica under the epoch the sender routed by. A replica with a newer epoch answers `staleEpoch`.
package struct ShardRoute: Hashable, Sendable {
    package var shard: ShardID
    package var epoch: Epoch

    package init(shard: ShardID, epoch: Epoch) {
        self.shard = shard
        self.epoch = epoch
    }
}

package struct ShardEnrol: Sendable {
    package var route: ShardRoute
    package var key: IdempotencyKey
    /// Time since the first attempt under the key; zero for that one.
    package var age: Duration
    package var rows: [EnrolRow]
    /// `rows.count` unit vectors.
    package var embeddings: EmbeddingMatrix

    package init(
        route: ShardRoute,
        key: IdempotencyKey,
        age: Duration = .zero,
        rows: [EnrolRow],
        embeddings: EmbeddingMatrix
    ) {
        self.route = route
        self.age = age
        self.key = key
        self.rows = rows
        self.embeddings = embeddings
    }
}

package struct ShardEnrolled: Hashable, Sendable {
    package var outcomes: [EnrolOutcome]
    /// Sequence of the commit that made them durable.
    package var sequence: UInt64

    package init(outcomes: [EnrolOutcome], sequence: UInt64) {
        self.outcomes = outcomes
        self.sequence = sequence
    }
}

package struct ShardDelete: Hashable, Sendable {
    package var route: ShardRoute
    package var key: IdempotencyKey
    /// Time since the first attempt under the key; zero for that one.
    package var age: Duration
    package var ids: [FaceID]

    package init(route: ShardRoute, key: IdempotencyKey, age: Duration = .zero, ids: [FaceID]) {
        self.age = age
        self.route = route
        self.key = key
        self.ids = ids
    }
}

package struct ShardDeleted: Hashable, Sendable {
    package var outcomes: [DeleteOutcome]
    package var sequence: UInt64

    package init(outcomes: [DeleteOutcome], sequence: UInt64) {
        self.outcomes = outcomes
        self.sequence = sequence
    }
}

package struct ShardGet: Hashable, Sendable {
    package var route: ShardRoute
    package var ids: [FaceID]
    package var includesEmbeddings: Bool
    /// Least sequence the answer must reflect; 0 for any.
    package var minimumSequence: UInt64

    package init(route: ShardRoute, ids: [FaceID], includesEmbeddings: Bool, minimumSequence: UInt64) {
        self.route = route
        self.ids = ids
        self.includesEmbeddings = includesEmbeddings
        self.minimumSequence = minimumSequence
    }
}

/// A page of one replica's faces in order of face id; answered by ``FaceList``, shorter than `limit` only at the end
/// or where the page's bytes reached 8 MiB (then at least one face is there).
package struct ShardList: Hashable, Sendable {
    package var route: ShardRoute
    package var after: FaceID?
    /// Part of the ring whose faces are wanted.
    package var range: HashRange
    package var limit: UInt32
    package var includesEmbeddings: Bool

    package init(
        route: ShardRoute,
        after: FaceID?,
        range: HashRange = .all,
        limit: UInt32,
        includesEmbeddings: Bool
    ) {
        self.route = route
        self.after = after
        self.range = range
        self.limit = limit
        self.includesEmbeddings = includesEmbeddings
    }
}

/// Asks the primary for a sequence that is behind none that was acknowledged before it was asked, by whomever.
package struct ConfirmShard: Hashable, Sendable {
    package var route: ShardRoute

    package init(route: ShardRoute) {
        self.route = route
    }
}

package struct ShardConfirmed: Hashable, Sendable {
    package var sequence: UInt64

    package init(sequence: UInt64) {
        self.sequence = sequence
    }
}

package struct ShardSearch: Sendable {
    package var route: ShardRoute
    package var parameters: SearchParameters
    package var minimumSequence: UInt64
    /// A face that must not be among the matches: the probe's own, in a search by face.
    package var excludedFace: FaceID?
    /// Unit vectors.
    package var probes: EmbeddingMatrix

    package init(
        route: ShardRoute,
        parameters: SearchParameters,
        minimumSequence: UInt64,
        excludedFace: FaceID?,
        probes: EmbeddingMatrix
    ) {
        self.route = route
        self.parameters = parameters
        self.minimumSequence = minimumSequence
        self.excludedFace = excludedFace
        self.probes = probes
    }
}

package struct ShardSearchAnswer: Sendable {
    /// Per probe, best first.
    package var matches: [[Match]]
    package var faceCount: UInt64
    /// Faces that the visited part stands for: `faceCount` unless the deadline stopped the scan.
    package var facesAnswered: UInt64
    package var rowsVisited: UInt64
    package var listsVisited: UInt64
    package var generation: UInt32
    /// That the replica goes by, be it later than the one that the search was routed by; 0 where it goes by none, and
    /// from a worker that does not say.
    package var epoch: Epoch

    package init(
        matches: [[Match]],
        faceCount: UInt64,
        facesAnswered: UInt64,
        rowsVisited: UInt64,
        listsVisited: UInt64,
        generation: UInt32,
        epoch: Epoch = Epoch(0)
    ) {
        self.matches = matches
        self.faceCount = faceCount
        self.facesAnswered = facesAnswered
        self.rowsVisited = rowsVisited
        self.listsVisited = listsVisited
        self.generation = generation
        self.epoch = epoch
    }
}
