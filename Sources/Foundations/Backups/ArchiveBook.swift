package import ClusterModel
package import FaceModel

/// Where the list of a collection's archive ends, and what is to be written next. Pure.
package struct ArchiveBook: Sendable {
    /// One object that is to be written, and the one that it makes superfluous.
    package struct Page: Sendable {
        package var name: BackupName.Volume
        package var bytes: [UInt8]
        package var superseded: BackupName.Volume?
        fileprivate var volume: ArchiveVolume
    }

    /// A day of writes is not lost with one more.
    private static let longestTime: Int64 = 86_400_000

    package let collection: CollectionID
    private let name: String
    private let cluster: NodeID
    private var head: (name: BackupName.Volume, volume: ArchiveVolume)?

    /// - Parameter head: the newest volume that there is; nil for none.
    package init(
        collection: CollectionID,
        name: String,
        cluster: NodeID,
        head: (name: BackupName.Volume, volume: ArchiveVolume)?
    ) {
        self.collection = collection
        self.name = name
        self.cluster = cluster
        self.head = head
    }

    /// How far a shard is archived; nil when it is not yet.
    package func standing(of shard: ArchiveVolume.Shard) -> ArchiveVolume.Standing? {
        head?.volume.standings.first { $0.shard == shard }
    }

    /// When the newest volume was written.
    package var written: Timestamp? { head?.volume.written }

    /// The moment up to which all of the shards are archived; nil when one is not at all.
    package func until(of shards: [ArchiveVolume.Shard]) -> Timestamp? {
        let standings = shards.compactMap { standing(of: $0)?.until }
        return standings.count == shards.count ? standings.min() : nil
    }

    /// The next object of the list.
    ///
    /// - Parameters:
    ///   - parts: what has been archived since the last one, in order for each shard.
    ///   - standings: of shards that have come further; the others stay where they were.
    ///   - shards: all that the collection has: the list has no more of others.
    package func page(
        adding parts: [ArchiveVolume.Part],
        standings: [ArchiveVolume.Standing],
        of shards: [ArchiveVolume.Shard],
        now: Timestamp
    ) -> Page {
        let own = shards.compactMap { shard in standings.last { $0.shard == shard } ?? standing(of: shard) }
        var volume = ArchiveVolume(
            collection: collection,
            name: name,
            cluster: cluster,
            number: 1,
            revision: 1,
            previous: nil,
            written: now,
            parts: parts,
            standings: own
        )
        var superseded: BackupName.Volume?
        if let head {
            let began = head.volume.parts.first?.end.time ?? now
            let isFull =
                head.volume.parts.count >= ArchiveVolume.partLimit
                || now.milliseconds - began.milliseconds > Self.longestTime
            if isFull {
                volume.number = head.volume.number + 1
                volume.previous = .init(revision: head.volume.revision, digest: head.name.digest)
            } else {
                volume.number = head.volume.number
                volume.revision = head.volume.revision + 1
                volume.previous = head.volume.previous
                volume.parts = head.volume.parts + parts
                superseded = head.name
            }
        }
        let bytes = volume.encoded()
        let name = BackupName.Volume(
            collection: collection,
            number: volume.number,
            revision: volume.revision,
            digest: BackupDigest(of: bytes)
        )
        return Page(name: name, bytes: bytes, superseded: superseded, volume: volume)
    }

    /// The object is durable.
    package mutating func stored(_ page: Page) {
        head = (page.name, page.volume)
    }
}
