package import ClusterModel
package import FaceModel

/// What a write reached: shard index → sequence. A read that carries it sees the write, or fails.
///
/// Opaque to clients: they keep its bytes.
package struct ConsistencyToken: Hashable, Sendable {
    package var collection: CollectionID
    package var sequences: [UInt32: UInt64]

    package init(collection: CollectionID, sequences: [UInt32: UInt64]) {
        self.collection = collection
        self.sequences = sequences
    }
}

/// Stores faces: new ones, and new content of ids that exist.
package struct EnrolFaces: Sendable {
    package var collection: String
    package var embeddingModel: String
    package var key: IdempotencyKey
    /// Time since the first attempt under the key; zero for that one.
    package var age: Duration
    package var rows: [EnrolRow]
    /// `rows.count` embeddings of any non-zero length; normalised by the coordinator.
    package var embeddings: EmbeddingMatrix

    package init(
        collection: String,
        embeddingModel: String,
        key: IdempotencyKey,
        age: Duration = .zero,
        rows: [EnrolRow],
        embeddings: EmbeddingMatrix
    ) {
        self.age = age
        self.collection = collection
        self.embeddingModel = embeddingModel
        self.key = key
        self.rows = rows
        self.embeddings = embeddings
    }
}

package struct FacesEnrolled: Hashable, Sendable {
    /// One per row sent, in order.
    package var outcomes: [EnrolOutcome]
    package var token: ConsistencyToken

    package init(outcomes: [EnrolOutcome], token: ConsistencyToken) {
        self.outcomes = outcomes
        self.token = token
    }
}

package struct DeleteFaces: Hashable, Sendable {
    package var collection: String
    package var key: IdempotencyKey
    /// Time since the first attempt under the key; zero for that one.
    package var age: Duration
    package var ids: [FaceID]

    package init(collection: String, key: IdempotencyKey, age: Duration = .zero, ids: [FaceID]) {
        self.age = age
        self.collection = collection
        self.key = key
        self.ids = ids
    }
}

package struct FacesDeleted: Hashable, Sendable {
    /// One per id sent, in order.
    package var outcomes: [DeleteOutcome]
    package var token: ConsistencyToken
    /// What ``Coverage/hasLoss`` is: a face that was not there may be one of those that were given up.
    package var hasLoss: Bool

    package init(outcomes: [DeleteOutcome], token: ConsistencyToken, hasLoss: Bool = false) {
        self.outcomes = outcomes
        self.token = token
        self.hasLoss = hasLoss
    }
}

package struct GetFaces: Hashable, Sendable {
    package var collection: String
    package var ids: [FaceID]
    package var includesEmbeddings: Bool
    package var token: ConsistencyToken?

    package init(collection: String, ids: [FaceID], includesEmbeddings: Bool, token: ConsistencyToken? = nil) {
        self.collection = collection
        self.ids = ids
        self.includesEmbeddings = includesEmbeddings
        self.token = token
    }
}

/// Asks for a token of everything that was acknowledged before: a read that carries it is a strong one.
package struct GetLatestToken: Hashable, Sendable {
    package var collection: String

    package init(collection: String) {
        self.collection = collection
    }
}

package struct LatestToken: Hashable, Sendable {
    package var token: ConsistencyToken

    package init(token: ConsistencyToken) {
        self.token = token
    }
}

/// The faces found among those asked for, in the order asked; absent ones are left out.
package struct FaceList: Sendable {
    package var faces: [StoredFace]
    /// What ``Coverage/hasLoss`` is, said by a coordinator: an absent face may be one of those that were given up.
    package var hasLoss: Bool
    /// By which the worker's replica goes; 0 from a coordinator, or from a worker that does not say.
    package var epoch: Epoch

    package init(faces: [StoredFace], hasLoss: Bool = false, epoch: Epoch = Epoch(0)) {
        self.faces = faces
        self.hasLoss = hasLoss
        self.epoch = epoch
    }
}

/// One page of a collection's faces: along the ring, shard after shard as they are then, each in order of face id.
package struct ListFaces: Hashable, Sendable {
    package var collection: String
    /// Where the page before ended; nil for the first.
    package var after: ListPosition?
    /// Faces wanted: 1–10 000; fewer may come.
    package var limit: Int
    package var includesEmbeddings: Bool
    /// Which collection the page before was of: places are of its ring, and of no other collection's of the name. Nil
    /// for the first page, and where that did not say.
    package var collectionID: CollectionID?

    package init(
        collection: String,
        after: ListPosition?,
        limit: Int,
        includesEmbeddings: Bool,
        collectionID: CollectionID? = nil
    ) {
        self.collection = collection
        self.after = after
        self.limit = limit
        self.includesEmbeddings = includesEmbeddings
        self.collectionID = collectionID
    }
}

/// What of a collection has been listed, by places on the ring: it holds whatever shards are split or merged meanwhile.
package struct ListPosition: Hashable, Sendable {
    /// A part of the ring of which faces have been listed up to an id.
    package struct Stretch: Hashable, Sendable {
        /// Where it ends; it begins behind the one before, or at ``ListPosition/first``.
        package var last: UInt64
        /// The last face of it that was listed: those with greater ids are still to come.
        package var face: FaceID

        package init(last: UInt64, face: FaceID) {
            self.last = last
            self.face = face
        }
    }

    /// Every face before this place has been listed.
    package var first: UInt64
    /// In order of the ring. Behind them nothing has been listed.
    package var stretches: [Stretch]

    /// Most stretches: one, and another each time that a shard was split while it was listed.
    package static let stretchLimit = 64

    package init(first: UInt64 = 0, stretches: [Stretch] = []) {
        self.first = first
        self.stretches = stretches
    }
}

package struct FacePage: Sendable {
    package var faces: [StoredFace]
    /// Where the next page begins; nil after the last.
    package var next: ListPosition?
    /// What ``Coverage/hasLoss`` is: the pages do not list those that were given up.
    package var hasLoss: Bool
    /// Of which collection the faces are; nil from a coordinator that does not say.
    package var collectionID: CollectionID?

    package init(
        faces: [StoredFace],
        next: ListPosition?,
        hasLoss: Bool = false,
        collectionID: CollectionID? = nil
    ) {
        self.faces = faces
        self.next = next
        self.hasLoss = hasLoss
        self.collectionID = collectionID
    }
}
