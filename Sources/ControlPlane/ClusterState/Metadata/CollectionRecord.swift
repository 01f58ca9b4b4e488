package import ClusterModel
package import FaceModel

/// What the cluster has agreed on about one collection.
package struct CollectionRecord: Hashable, Sendable {
    package var collection: Collection
    /// In order of shard index.
    package var placements: [ShardPlacement]
    /// Shards whose place others have taken. Kept for ever: a worker that was away drops its replicas when it returns.
    package var retirements: [ShardRetirement]
    /// Whether every shard has been hosted once. From then on a replica that its worker does not know is lost data:
    /// it is reported, and never replaced by an empty one.
    package var isEstablished: Bool
    /// The codebook its shards use; nil until one has been trained.
    package var codebook: CodebookRecord?
    /// While faces of a backup are being put into it; nil for one that serves.
    package var restoration: RestorationRecord?
    package var erasureKey: ErasureKey
    /// Faces that were given up, until somebody says that they are back. In order of time.
    package var losses: [AcceptedLoss]
    /// When the newest of those was accepted that were said to be back. What the shard's ledger of erasures lacks does
    /// not come back with the faces.
    package var settledLoss: Timestamp?
    /// Digest of what a restoration said that it should begin with, and of which it was found that it does; a random
    /// mark from when the restoration is begun again before it has ended, until that is found; nil before either, for
    /// one that was not restored, and for one of a program of before.
    package var restored: [UInt8]?

    /// - Parameter erasureKey: nil for that of a collection from before there were keys.
    package init(
        collection: Collection,
        placements: [ShardPlacement],
        retirements: [ShardRetirement] = [],
        isEstablished: Bool = false,
        codebook: CodebookRecord? = nil,
        restoration: RestorationRecord? = nil,
        erasureKey: ErasureKey? = nil,
        losses: [AcceptedLoss] = [],
        settledLoss: Timestamp? = nil,
        restored: [UInt8]? = nil
    ) {
        self.collection = collection
        self.placements = placements
        self.retirements = retirements
        self.isEstablished = isEstablished
        self.codebook = codebook
        self.restoration = restoration
        self.erasureKey = erasureKey ?? ErasureKey(of: collection.id)
        self.losses = losses
        self.settledLoss = settledLoss
        self.restored = restored
    }

    /// When faces were last given up, be they back or not; nil when none ever were.
    package var latestLoss: Timestamp? { (losses.map(\.time) + [settledLoss].compactMap(\.self)).max() }

    /// Those of the given up that are meant are back, but for those of shards that have yet to be made.
    package mutating func settleLosses(_ isMeant: (AcceptedLoss) -> Bool) {
        let settled = losses.filter { $0.beginning == nil && isMeant($0) }
        settledLoss = (settled.map(\.time) + [settledLoss].compactMap(\.self)).max()
        losses.removeAll { settled.contains($0) }
    }

    /// Gives the collection another configuration; id and time of its creation stay.
    package mutating func reconfigure(_ change: (inout CollectionConfiguration) -> Void) {
        var configuration = collection.configuration
        change(&configuration)
        collection = Collection(id: collection.id, configuration: configuration, created: collection.created)
    }

    package func placement(of shard: ShardID) -> ShardPlacement? { index(of: shard).map { placements[$0] } }

    package func index(of shard: ShardID) -> Int? {
        let index = Int(shard.index)
        if index < placements.count, placements[index].shard == shard { return index }
        // Behind a shard that was split or merged a place is no longer the index.
        var (low, high) = (0, placements.count)
        while low < high {
            let middle = (low + high) / 2
            if placements[middle].shard < shard { low = middle + 1 } else { high = middle }
        }
        if low < placements.count, placements[low].shard == shard { return low }
        // Nothing keeps a stored record to the order, and one that is out of it has its shards all the same.
        return placements.firstIndex { $0.shard == shard }
    }

    package func retirement(of shard: ShardID) -> ShardRetirement? {
        retirements.first { $0.index == shard.index && shard.collection == collection.id }
    }

    /// Whether an empty replica may begin on a worker: nothing that was acknowledged can be missing from it.
    package func mayBegin(_ placement: ShardPlacement, on worker: NodeID) -> Bool {
        !isEstablished || isBeginning(placement.shard) || !placement.group.isInSync(worker)
    }

    /// Whether the shard begins with nothing in the place of one that was given up, and not all of its replicas have
    /// been made yet.
    package func isBeginning(_ shard: ShardID) -> Bool { losses.contains { $0.beginning == shard.index } }

    /// The lowest index that no shard ever had.
    package var nextShardIndex: UInt32 {
        let highest = (placements.map(\.shard.index) + retirements.map(\.index)).max()
        return highest.map { $0 + 1 } ?? 0
    }

    /// Whether the number is that of one of its shards, or was of one whose place others have taken.
    package func hasHad(_ index: UInt32) -> Bool {
        placements.contains { $0.shard.index == index } || retirements.contains { $0.index == index }
    }

    /// Generation that the next training makes.
    package var nextGeneration: UInt32 { (codebook?.generation ?? 0) + 1 }
}

/// A shard whose place others have taken.
package struct ShardRetirement: Hashable, Sendable {
    package var index: UInt32
    /// The last one it had.
    package var epoch: Epoch
    package var range: HashRange

    package init(index: UInt32, epoch: Epoch, range: HashRange) {
        self.index = index
        self.epoch = epoch
        self.range = range
    }
}

/// A restoration that has not ended. Once all of it is there, which ``CollectionRecord/restored`` tells, what is left
/// is to let faces expire again.
package struct RestorationRecord: Hashable, Sendable {
    /// Of ``CollectionRecord/restored``: a SHA-256.
    package static let digestByteCount = 32

    /// Name of the backup.
    package var backup: String

    package init(backup: String) {
        self.backup = backup
    }
}

/// A codebook that shards install: which bytes, and what people may know of it.
package struct CodebookRecord: Hashable, Sendable {
    package static let digestByteCount = 32

    package var generation: UInt32
    package var origin: CodebookOrigin
    /// SHA-256 of its bytes, by which they are found.
    package var digest: [UInt8]
    package var byteCount: UInt64
    package var codedDimension: Int
    package var codeByteCount: Int
    package var listCount: Int
    /// Share of the sample's energy that the coded components hold, 0…1.
    package var energyShare: Float
    package var sampleCount: UInt32
    package var calibrationProbeCount: UInt32
    package var calibration: [CalibrationPoint]

    package init(
        generation: UInt32,
        origin: CodebookOrigin,
        digest: [UInt8],
        byteCount: UInt64,
        codedDimension: Int,
        codeByteCount: Int,
        listCount: Int,
        energyShare: Float,
        sampleCount: UInt32,
        calibrationProbeCount: UInt32,
        calibration: [CalibrationPoint]
    ) {
        precondition(digest.count == Self.digestByteCount, "a SHA-256 digest has 32 bytes")
        self.generation = generation
        self.origin = origin
        self.digest = digest
        self.byteCount = byteCount
        self.codedDimension = codedDimension
        self.codeByteCount = codeByteCount
        self.listCount = listCount
        self.energyShare = energyShare
        self.sampleCount = sampleCount
        self.calibrationProbeCount = calibrationProbeCount
        self.calibration = calibration
    }
}
