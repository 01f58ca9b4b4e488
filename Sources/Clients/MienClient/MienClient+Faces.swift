import FaceModel
import WireProtocol

extension MienClient {
    /// Stores faces: new ones, and new content of identities that exist.
    ///
    /// Sent again under one key after failures that may pass, so that nothing is written twice. When the call throws,
    /// it is not known which of the faces were stored, unless the error says that it ``MienClientError/hasNoEffect``;
    /// enrolling them again is safe.
    /// - Parameters:
    ///   - faces: one for each row of `embeddings`, at most as many as the cluster takes in one batch (4096 unless
    ///     set otherwise).
    ///   - model: what made the embeddings; the collection's model.
    ///   - key: of this write, where it may be done again after the call; nil for one of the call's own.
    /// - Returns: what became of each face; a bad one does not hold up the rest.
    public func enrol(
        _ faces: [NewFace],
        embeddings: Embeddings,
        into collection: String,
        model: String,
        key: WriteKey? = nil
    ) async throws(MienClientError) -> EnrolmentReceipt {
        guard faces.count == embeddings.count else {
            throw .withoutEffect(.invalidRequest, "\(faces.count) faces were given with \(embeddings.count) embeddings")
        }
        let reply = try await caller.call(
            EnrolFaces(
                collection: collection,
                embeddingModel: model,
                key: key?.value ?? .random(),
                age: key?.age ?? .zero,
                rows: faces.map(\.row),
                embeddings: embeddings.matrix
            ),
            aging: { $0.age = key?.age ?? $1 }
        )
        guard reply.outcomes.count == faces.count else {
            throw MienClientError(
                code: .internalError,
                message: "the coordinator answered \(reply.outcomes.count) outcomes for \(faces.count) faces"
            )
        }
        return EnrolmentReceipt(reply)
    }

    /// Deletes faces; absent ones are no error. The next search does not find them.
    ///
    /// - Parameter key: of this write, where it may be done again after the call; nil for one of the call's own.
    public func deleteFaces(
        _ ids: [Face.ID],
        from collection: String,
        key: WriteKey? = nil
    ) async throws(MienClientError) -> DeletionReceipt {
        let reply = try await caller.call(
            DeleteFaces(
                collection: collection,
                key: key?.value ?? .random(),
                age: key?.age ?? .zero,
                ids: ids.map(\.value)
            ),
            aging: { $0.age = key?.age ?? $1 }
        )
        guard reply.outcomes.count == ids.count else {
            throw MienClientError(
                code: .internalError,
                message: "the coordinator answered \(reply.outcomes.count) outcomes for \(ids.count) faces"
            )
        }
        return DeletionReceipt(reply)
    }

    /// The faces found among those asked for, in the order asked; absent ones are left out.
    public func faces(
        _ ids: [Face.ID],
        in collection: String,
        includesEmbeddings: Bool = false,
        after write: WriteToken? = nil
    ) async throws(MienClientError) -> FoundFaces {
        FoundFaces(
            try await caller.call(
                GetFaces(
                    collection: collection,
                    ids: ids.map(\.value),
                    includesEmbeddings: includesEmbeddings,
                    token: write?.value
                )
            )
        )
    }

    /// A token of everything that was acknowledged to anybody before this call: a search or read that is given it is
    /// a *strong* read, and misses none of that. Reads without one may miss what others wrote less than 2 s before.
    ///
    /// One token may serve many reads: each sees at least what there was when the token was asked for.
    /// - Throws: ``MienClientError/Code/unavailable`` when a shard's primary cannot make sure in time that it still is
    ///   the primary.
    public func latestToken(of collection: String) async throws(MienClientError) -> WriteToken {
        WriteToken(value: try await caller.call(GetLatestToken(collection: collection)).token)
    }

    /// Every face of a collection, page by page, shard after shard and in each in order of identity.
    ///
    /// A face that is written meanwhile may or may not be among them. Whether faces of the collection were given up the
    /// iterator tells: ``FacePages/Iterator/hasLoss``. All pages are of one collection: when it is deleted and another
    /// gets its name the next page throws ``MienClientError/Code/invalidRequest``.
    /// - Parameter pageLimit: most faces of a page: 1 to 10000; pages of large faces are shorter.
    public func allFaces(
        in collection: String,
        includesEmbeddings: Bool = false,
        pageLimit: Int = 1000
    ) -> FacePages {
        FacePages(
            caller: caller,
            collection: collection,
            includesEmbeddings: includesEmbeddings,
            pageLimit: pageLimit
        )
    }
}

/// The faces of a collection as pages; each is asked for when it is wanted.
public struct FacePages: AsyncSequence, Sendable {
    public typealias Element = [Face]
    public typealias Failure = MienClientError

    let caller: CoordinatorCaller
    let collection: String
    let includesEmbeddings: Bool
    let pageLimit: Int

    public func makeAsyncIterator() -> Iterator { Iterator(pages: self) }

    public struct Iterator: AsyncIteratorProtocol {
        private let pages: FacePages
        private var position: ListPosition?
        /// Which collection the pages so far were of; nil before one has said.
        private var collectionID: CollectionID?
        private var isAtEnd = false
        /// Faces of the collection were given up when every copy of theirs was lost, and nobody has said that they are
        /// back; or may have been, as far as a coordinator knows that is cut off from the metadata store. No page has
        /// them. Said of the pages so far: true once one of them came with it, whatever was in it.
        public private(set) var hasLoss = false

        init(pages: FacePages) {
            self.pages = pages
        }

        /// The next page, never empty; nil after the last one. After an error the same page is asked for again.
        public mutating func next() async throws(MienClientError) -> [Face]? {
            while !isAtEnd {
                let page = try await pages.caller.call(
                    ListFaces(
                        collection: pages.collection,
                        after: position,
                        limit: pages.pageLimit,
                        includesEmbeddings: pages.includesEmbeddings,
                        collectionID: collectionID
                    )
                )
                // Places on the ring are of one collection: of another some faces would come twice, and others never.
                guard collectionID == nil || page.collectionID == nil || page.collectionID == collectionID else {
                    throw .withoutEffect(
                        .invalidRequest,
                        "the collection '\(pages.collection)' that was being listed was deleted, and another "
                            + "has its name: begin again"
                    )
                }
                collectionID = collectionID ?? page.collectionID
                position = page.next
                hasLoss = hasLoss || page.hasLoss
                isAtEnd = page.next == nil
                if !page.faces.isEmpty { return page.faces.map(Face.init) }
            }
            return nil
        }

        public mutating func next(
            isolation actor: isolated (any Actor)?
        ) async throws(MienClientError) -> [Face]? {
            try await next()
        }
    }
}
