import FaceModel
import Foundation
import PartitionEngine

/// A partition of one test and the folder that it lives in.
final class PartitionFixture {
    let folder = TemporaryFolder()
    let dimension: Int
    var options: PartitionOptions
    private(set) var partition: Partition
    private var keyNumber: UInt64 = 0
    /// Steps of maintenance that moved rows to new chunks: nothing else there makes rows fresh.
    private(set) var evacuationCount = 0

    let directory: String

    /// - Parameter directory: nil for one in a folder of its own.
    init(
        dimension: Int = 64,
        precision: StoredPrecision = .float16,
        options: PartitionOptions = .small,
        directory: String? = nil
    ) throws {
        self.dimension = dimension
        self.options = options
        self.directory = directory ?? "\(folder.path)/partition"
        partition = try Partition.create(
            at: self.directory,
            identity: .made(dimension: dimension, precision: precision),
            options: options
        )
    }

    /// One that is there.
    init(opening directory: String, dimension: Int = 64, options: PartitionOptions = .small) throws {
        self.dimension = dimension
        self.options = options
        self.directory = directory
        partition = try Partition.open(at: directory, options: options)
    }

    deinit {
        partition.close()
    }

    func reopen() throws {
        partition.close()
        partition = try Partition.open(at: directory, options: options)
    }

    func nextKey() -> IdempotencyKey {
        keyNumber += 1
        return IdempotencyKey(high: 7, low: keyNumber)
    }

    func enrolment(
        _ ids: [FaceID],
        _ embeddings: [[Float]],
        metadata: (FaceID) -> FaceMetadata = { _ in FaceMetadata() }
    ) -> WriteBatch {
        WriteBatch(
            key: nextKey(),
            operation: .enrol(
                rows: ids.map { EnrolRow(id: $0, metadata: metadata($0)) },
                embeddings: EmbeddingMatrix(dimension: dimension, values: embeddings.flatMap { $0 })
            )
        )
    }

    @discardableResult
    func enrol(
        _ ids: [FaceID],
        _ embeddings: [[Float]],
        metadata: (FaceID) -> FaceMetadata = { _ in FaceMetadata() }
    ) throws -> WriteReceipt {
        try partition.write([enrolment(ids, embeddings, metadata: metadata)], epoch: 1)[0]
    }

    @discardableResult
    func delete(_ ids: [FaceID]) throws -> WriteReceipt {
        try partition.write([WriteBatch(key: nextKey(), operation: .delete(ids))], epoch: 1)[0]
    }

    func search(
        _ probes: [[Float]],
        limit: Int = 5,
        threshold: Float? = nil,
        effort: SearchEffort = .exact,
        filter: FaceFilter? = nil,
        excluding: FaceID? = nil,
        now: Timestamp = Timestamp(milliseconds: 0),
        collectionShare: Double = 1,
        team: SearchTeam = .none,
        shouldStop: () -> Bool = { false }
    ) throws -> PartitionSearchAnswer {
        var search = PartitionSearch(
            parameters: SearchParameters(
                matchLimit: limit,
                threshold: threshold,
                effort: effort,
                filter: filter
            ),
            excludedFace: excluding,
            probes: EmbeddingMatrix(dimension: dimension, values: probes.flatMap { $0 }),
            now: now
        )
        search.collectionShare = collectionShare
        return try partition.search(search, team: team, shouldStop: shouldStop)
    }

    /// One step; whether another may be worth while.
    func maintain(now: Timestamp) throws -> Bool {
        let freshCount = try partition.statistics().freshCount
        let hasMore = try partition.maintain(now: now) != nil
        if try partition.statistics().freshCount > freshCount { evacuationCount += 1 }
        return hasMore
    }

    /// Maintains until nothing is left to do; the number of steps that did something.
    @discardableResult
    func settle(now: Timestamp = Timestamp(milliseconds: 0)) throws -> Int {
        var steps = 0
        while try maintain(now: now) {
            steps += 1
            precondition(steps < 10_000, "maintenance does not end")
        }
        return steps
    }
}

extension PartitionOptions {
    /// Small sizes, so that every level of folding and merging happens with a few hundred faces.
    static var small: PartitionOptions {
        var options = PartitionOptions()
        options.foldRowCount = 128
        options.foldRowLimit = 256
        options.mergeRatio = 1
        options.evacuationRowLimit = 96
        options.keptFilterRecordCount = 30
        options.mapByteCount = 1 << 30
        options.minimumFreeByteCount = 0
        return options
    }
}

extension PartitionIdentity {
    /// - Parameter range: hashes of the faces that belong there.
    static func made(
        dimension: Int = 64,
        precision: StoredPrecision = .float16,
        shardIndex: UInt32 = 0,
        range: ClosedRange<UInt64> = 0...UInt64.max
    ) -> PartitionIdentity {
        PartitionIdentity(
            collection: Collection(
                id: CollectionID(high: 1, low: 2),
                configuration: CollectionConfiguration(
                    name: "visitors",
                    dimension: dimension,
                    embeddingModel: "test-model",
                    shardCount: 1,
                    storedPrecision: precision
                ),
                created: Timestamp(milliseconds: 1_700_000_000_000)
            ),
            shardIndex: shardIndex,
            firstHash: range.lowerBound,
            lastHash: range.upperBound
        )
    }
}

/// A match in a form that compares and prints, similarity bit by bit.
struct Found: Hashable, CustomStringConvertible {
    let face: FaceID
    let similarity: UInt32

    init(_ face: FaceID, _ similarity: Float) {
        self.face = face
        // -0 and 0 are one similarity.
        self.similarity = (similarity == 0 ? 0 : similarity).bitPattern
    }

    init(_ match: Match) {
        self.init(match.faceID, match.similarity)
    }

    var description: String { "…\(face.low & 0xffff_ffff):\(Float(bitPattern: similarity))" }
}

extension PartitionSearchAnswer {
    var found: [[Found]] { matches.map { $0.map(Found.init) } }
}
