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

    package init(outcomes: [DeleteOutcome], token: ConsistencyToken) {
        self.outcomes = outcomes
        self.token = token
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

/// The faces found among those asked for, in the order asked; absent ones are left out.
package struct FaceList: Sendable {
    package var faces: [StoredFace]

    package init(faces: [StoredFace]) {
        self.faces = faces
    }
}

/// One page of a collection's faces, in order of (shard, face id).
package struct ListFaces: Hashable, Sendable {
    package var collection: String
    /// Where the page before ended; nil for the first.
    package var after: ListPosition?
    /// Faces wanted: 1–10 000; fewer may come.
    package var limit: Int
    package var includesEmbeddings: Bool

    package init(collection: String, after: ListPosition?, limit: Int, includesEmbeddings: Bool) {
        self.collection = collection
        self.after = after
        self.limit = limit
        self.includesEmbeddings = includesEmbeddings
    }
}

/// A place in the listing of a collection: the last face of a page and the shard it came from.
package struct ListPosition: Hashable, Sendable {
    package var shardIndex: UInt32
    /// nil: the beginning of the shard.
    package var face: FaceID?

    package init(shardIndex: UInt32, face: FaceID?) {
        self.shardIndex = shardIndex
        self.face = face
    }
}

package struct FacePage: Sendable {
    package var faces: [StoredFace]
    /// Where the next page begins; nil after the last.
    package var next: ListPosition?

    package init(faces: [StoredFace], next: ListPosition?) {
        self.faces = faces
        self.next = next
    }
}
