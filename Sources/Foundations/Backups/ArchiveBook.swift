package import ClusterModel
package import FaceModel

/// Where the list of a collection's archive ends, and what is to be written next. Pure.
package struct ArchiveBook: Sendable {
    /// One object that is to be written, and the one that it makes superfluous.
    package struct Page: Sendable {
        package var name: BackupName.Volume
        package var bytes: [UInt8]
        package var superseded: BackupName.Volume?
        /// Shards that the list has as gone from here on: others have taken their place.
        package var replaced: [ArchiveVolume.Shard] = []
        /// Those among them whose logs the archive has not to their ends, or of which nobody knows.
        package var unfinished: [ArchiveVolume.Shard] = []
        fileprivate var volume: ArchiveVolume
    }

    /// A day of writes is not lost with one more.
    private static let longestTime: Int64 = 86_400_000
    /// Shards that have gone stay in the list, as their backups may: the last so many.
    private static let replacedLimit = 1024

    package let collection: CollectionID
    private let name: String
    private let cluster: NodeID
    private var head: (name: BackupName.Volume, volume: ArchiveVolume)?
    /// The newest object of the list where that is damaged, until the next one has taken its place.
    private var damaged: BackupName.Volume?
    /// Shards that the damaged object had, for all that is known, as long as nothing is archived of them after it: what
    /// they begin with then does not go on from there.
    package private(set) var lost: Set<ArchiveVolume.Shard> = []

    /// - Parameters:
    ///   - head: the newest volume that there is; nil for none.
    ///   - damaged: an object behind it that cannot be read, of the next number, or of the first that is left.
    package init(
        collection: CollectionID,
        name: String,
        cluster: NodeID,
        head: (name: BackupName.Volume, volume: ArchiveVolume)?,
        before damaged: BackupName.Volume? = nil
    ) {
        self.collection = collection
        self.name = name
        self.cluster = cluster
        self.head = head
        self.damaged = damaged
    }

    /// The newest object of the list; nil before the first.
    package var newest: BackupName.Volume? { damaged ?? head?.name }

    /// Whether the next object takes the place of one that cannot be read: what does not go on from the volume before
    /// that is missing.
    package var replacesDamage: Bool { damaged != nil }

    /// Takes note of all shards that there are, where the next object takes the place of one that cannot be read: that
    /// had all of them. They may come back one by one, as their primaries answer.
    package mutating func loseAll(of shards: [ArchiveVolume.Shard]) {
        if replacesDamage { lost = Set(shards) }
    }

    /// Takes note of shards that a damaged object had before this list was read anew. What it has of them is not lost.
    package mutating func lose(_ shards: Set<ArchiveVolume.Shard>) {
        let missing = shards.filter { standing(of: $0) == nil }
        lost.formUnion(missing)
    }

    /// How far a shard is archived; nil when it is not yet.
    package func standing(of shard: ArchiveVolume.Shard) -> ArchiveVolume.Standing? {
        head?.volume.standings.first { $0.shard == shard }
    }

    /// Whether the newest volume was written in the milliseconds before now. One of a later time was not: the clock was
    /// set back.
    package func wasWritten(within milliseconds: Int64, before now: Timestamp) -> Bool {
        guard damaged == nil else { return false }
        return head.map { (0..<milliseconds).contains(now.milliseconds - $0.volume.written.milliseconds) } ?? false
    }

    /// The moment up to which all of the shards are archived; nil when one is not at all.
    package func until(of shards: [ArchiveVolume.Shard]) -> Timestamp? {
        let standings = shards.compactMap { standing(of: $0)?.until }
        return standings.count == shards.count ? standings.min() : nil
    }

    /// The next object of the list.
    ///
    /// Shards whose place others have taken stay in it as they stood last: so far, and until then, they are archived.
    /// Where the end of one is missing, what took its place begins once more than it does: a gap, like any other.
    ///
    /// - Parameters:
    ///   - parts: what has been archived since the last one, in order for each shard.
    ///   - standings: of shards that have come further; the others stay where they were.
    ///   - ends: where the logs ended of shards that others have taken the place of, by their indices. Of one that was
    ///     not archived to there, or is not named, the end is missing.
    package func page(
        adding parts: [ArchiveVolume.Part],
        standings: [ArchiveVolume.Standing],
        ends: [UInt32: UInt64] = [:],
        now: Timestamp
    ) -> Page {
        let changes = changes(of: standings, ends: ends)
        let gaps = changes.unfinished.compactMap { shard in
            parts.first { !$0.continues && $0.shard.follows(shard) }
        }
        let parts = gaps + parts
        var volume = ArchiveVolume(
            collection: collection,
            name: name,
            cluster: cluster,
            number: 1,
            revision: 1,
            previous: nil,
            written: now,
            parts: parts,
            standings: changes.standings
        )
        var superseded: BackupName.Volume?
        if let damaged {
            volume.number = damaged.number
            volume.revision = damaged.revision + 1
            volume.previous = head.map { head in
                ArchiveVolume.Previous(revision: head.volume.revision, digest: head.name.digest)
            }
        } else if let head {
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
        return Page(
            name: name,
            bytes: bytes,
            superseded: superseded,
            replaced: changes.replaced,
            unfinished: changes.unfinished,
            volume: volume
        )
    }

    /// How all shards stand, and what has become of those whose place others have taken since the last object.
    private func changes(
        of news: [ArchiveVolume.Standing],
        ends: [UInt32: UInt64]
    ) -> (standings: [ArchiveVolume.Standing], replaced: [ArchiveVolume.Shard], unfinished: [ArchiveVolume.Shard]) {
        let former = head?.volume.standings ?? []
        let changed = Set(news.map(\.shard))
        var standings = former.filter { !changed.contains($0.shard) } + news
        standings.sort { ($0.shard.range.first, $0.shard.index) < ($1.shard.range.first, $1.shard.index) }
        let known = ArchiveVolume.replaced(among: former.map(\.shard))
        let all = ArchiveVolume.replaced(among: standings.map(\.shard))
        let gone = standings.filter { all.contains($0.shard) && !known.contains($0.shard) }
        let unfinished = gone.filter { ends[$0.shard.index] != $0.position.sequence }
        let oldest = standings.filter { all.contains($0.shard) }.sorted { $0.until < $1.until }
            .dropLast(Self.replacedLimit).map(\.shard)
        standings.removeAll { oldest.contains($0.shard) }
        return (standings, gone.map(\.shard), unfinished.map(\.shard))
    }

    /// The object is durable.
    package mutating func stored(_ page: Page) {
        head = (page.name, page.volume)
        damaged = nil
        lost.subtract(page.volume.standings.map(\.shard))
    }
}
