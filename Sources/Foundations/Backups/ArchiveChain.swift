package import FaceModel

/// The archived log of a collection, as the list of its volumes tells.
package struct ArchiveChain: Sendable {
    /// Parts of a shard that follow each other without a gap.
    package struct Run: Hashable, Sendable {
        package var start: ArchivePosition
        /// Those with entries, in order.
        package var parts: [ArchiveVolume.Part]
        package var end: ArchivePosition
        /// Every entry that was ordered up to then is in it.
        package var until: Timestamp
    }

    /// A shard's runs, in order.
    package struct Line: Hashable, Sendable {
        package var shard: ArchiveVolume.Shard
        package var runs: [Run]
    }

    package let collection: CollectionID
    /// As it was called when the newest volume was written.
    package let name: String
    /// The oldest first, without a gap.
    package let volumes: [(name: BackupName.Volume, volume: ArchiveVolume)]
    /// Volumes that are on no way from the newest to the oldest: what was superseded, and could not be removed.
    package let strays: [BackupName.Volume]
    package let lines: [Line]

    /// Reads the list, and checks that nothing in it is missing or changed.
    ///
    /// That its oldest volumes are gone cannot be told from their having been pruned, and its newest ones can be cut
    /// off without a trace: then the archive ends earlier, and says so.
    /// - Returns: nil when the collection has no archive.
    package static func read(
        _ collection: CollectionID,
        in store: some BackupStore
    ) async throws(BackupError) -> ArchiveChain? {
        for _ in 0..<readAttempts {
            let names = try await store.volumes(of: collection)
            guard let head = names.last else { return nil }
            do throws(BackupError) {
                return try await read(from: head, try await store.volume(head), of: names, in: store)
            } catch {
                // While it is written, the next revision may have taken its place.
                guard case .missing = error, try await !store.volumes(of: collection).contains(head) else {
                    throw error
                }
            }
        }
        throw .storeFailed(object: store.place, reason: "the archive of \(collection) changes faster than it is read")
    }

    private static let readAttempts = 20

    /// Reads on from the newest volume.
    private static func read(
        from head: BackupName.Volume,
        _ newest: ArchiveVolume,
        of names: [BackupName.Volume],
        in store: some BackupStore
    ) async throws(BackupError) -> ArchiveChain {
        let collection = head.collection
        var name = head
        var volume = newest
        var volumes: [(name: BackupName.Volume, volume: ArchiveVolume)] = []
        while true {
            volumes.append((name, volume))
            guard let previous = volume.previous else { break }
            guard name.number > 1 else {
                throw .damaged(
                    object: store.path(of: BackupName.volume(name)),
                    reason: "it is the first, and names one before"
                )
            }
            name = BackupName.Volume(
                collection: collection,
                number: name.number - 1,
                revision: previous.revision,
                digest: previous.digest
            )
            guard names.contains(name) else {
                // Where older ones are, it was not pruned.
                if names.contains(where: { $0.number <= name.number }) {
                    throw .missing(object: store.path(of: BackupName.volume(name)))
                }
                break
            }
            do throws(BackupError) {
                volume = try await store.volume(name)
            } catch {
                guard case .missing = error, try await isPruned(name, in: store) else { throw error }
                break
            }
        }
        volumes.reverse()
        let known = Set(volumes.map(\.name))
        return ArchiveChain(
            collection: collection,
            volumes: volumes,
            strays: names.filter { !known.contains($0) },
            lines: try lines(of: volumes) { store.path(of: BackupName.volume($0)) }
        )
    }

    /// Whether a volume that was listed, and is not there, has been pruned since: the oldest go first.
    private static func isPruned(
        _ name: BackupName.Volume,
        in store: some BackupStore
    ) async throws(BackupError) -> Bool {
        try await !store.volumes(of: name.collection).contains { $0.number <= name.number }
    }

    /// The list of one volume, whatever lies in front of it.
    package init(of volume: ArchiveVolume, named name: BackupName.Volume) throws(BackupError) {
        let volumes = [(name: name, volume: volume)]
        self.init(
            collection: volume.collection,
            volumes: volumes,
            strays: [],
            lines: try Self.lines(of: volumes) { BackupName.volume($0) }
        )
    }

    private init(
        collection: CollectionID,
        volumes: [(name: BackupName.Volume, volume: ArchiveVolume)],
        strays: [BackupName.Volume],
        lines: [Line]
    ) {
        self.collection = collection
        self.volumes = volumes
        self.strays = strays
        self.lines = lines
        name = volumes.last?.volume.name ?? ""
    }

    private static func lines(
        of volumes: [(name: BackupName.Volume, volume: ArchiveVolume)],
        path: (BackupName.Volume) -> String
    ) throws(BackupError) -> [Line] {
        var lines: [Line] = []
        var places: [ArchiveVolume.Shard: Int] = [:]
        for (name, volume) in volumes {
            for part in volume.parts {
                let place = places[part.shard] ?? lines.endIndex
                if place == lines.endIndex {
                    places[part.shard] = place
                    lines.append(Line(shard: part.shard, runs: []))
                }
                if let last = lines[place].runs.indices.last, part.continues {
                    guard lines[place].runs[last].end == part.start else {
                        throw .damaged(
                            object: path(name),
                            reason: "a part of shard \(part.shard.index) does not begin where the one before ends"
                        )
                    }
                    lines[place].runs[last].end = part.end
                } else {
                    let until = Timestamp(milliseconds: part.start.time.milliseconds)
                    lines[place].runs.append(Run(start: part.start, parts: [], end: part.end, until: until))
                }
                let last = lines[place].runs.endIndex - 1
                // What was ordered in the same millisecond may come in the next part.
                let complete = Timestamp(milliseconds: part.end.time.milliseconds - 1)
                lines[place].runs[last].until = max(lines[place].runs[last].until, complete)
                if part.segment != nil { lines[place].runs[last].parts.append(part) }
            }
            for standing in volume.standings {
                // Of one that has had no entry since, the parts were pruned: it goes on from where it stands.
                if places[standing.shard] == nil, name == volumes.first?.name, volume.previous != nil {
                    places[standing.shard] = lines.endIndex
                    let (place, until) = (standing.position, standing.until)
                    lines.append(
                        Line(shard: standing.shard, runs: [Run(start: place, parts: [], end: place, until: until)])
                    )
                }
                guard let place = places[standing.shard], let last = lines[place].runs.indices.last else { continue }
                guard lines[place].runs[last].end == standing.position else {
                    throw .damaged(
                        object: path(name),
                        reason: "shard \(standing.shard.index) does not stand where its last part ends"
                    )
                }
                lines[place].runs[last].until = max(lines[place].runs[last].until, standing.until)
            }
        }
        return lines
    }

    /// Shards that the newest volume goes on with: not those whose place others have taken.
    package var standings: [ArchiveVolume.Standing] {
        let all = volumes.last?.volume.standings ?? []
        let replaced = ArchiveVolume.replaced(among: all.map(\.shard))
        return all.filter { !replaced.contains($0.shard) }
    }

    /// Shards whose place others have taken.
    package var replaced: Set<ArchiveVolume.Shard> { ArchiveVolume.replaced(among: lines.map(\.shard)) }

    /// The moment up to which all shards are archived; nil without any.
    package var until: Timestamp? { standings.map(\.until).min() }

    /// Where it begins anew, entries may be missing: how often.
    package var gapCount: Int { lines.reduce(0) { $0 + max(0, $1.runs.count - 1) } }

    package var byteCount: UInt64 { volumes.reduce(0) { $0 + $1.volume.byteCount } }
    package var entryCount: UInt64 {
        volumes.reduce(0) { $0 + $1.volume.parts.reduce(UInt64(0)) { $0 + UInt64($1.segment?.entryCount ?? 0) } }
    }

    /// Volumes that no restore of these backups needs, the oldest first. The newest stays in any case.
    package func volumesToPrune(keeping backups: [BackupManifest]) -> [(name: BackupName.Volume, volume: ArchiveVolume)]
    {
        var cuts: [UInt32: UInt64] = [:]
        for backup in backups where backup.collection.id == collection {
            for shard in backup.shards { cuts[shard.index] = min(cuts[shard.index] ?? .max, shard.sequence) }
        }
        return Array(
            volumes.dropLast().prefix { item in
                item.volume.parts.allSatisfy { part in
                    guard !cuts.isEmpty else { return true }
                    // A part of a shard that no backup knows is of no use without one that does.
                    return cuts[part.shard.index].map { part.end.sequence <= $0 } ?? true
                }
            }
        )
    }
}

extension BackupStore {
    /// All volumes of a collection's archive, the newest last.
    package func volumes(of collection: CollectionID) async throws(BackupError) -> [BackupName.Volume] {
        try await list(BackupName.archive(of: collection)).compactMap { BackupName.volume(of: $0.name) }.sorted()
    }

    /// Collections that have an archive.
    package func archives() async throws(BackupError) -> [CollectionID] {
        let names = try await list(BackupName.archivePrefix).compactMap { BackupName.volume(of: $0.name) }
        return Set(names.map(\.collection)).sorted()
    }

    /// A volume, which is what its name says that it is.
    package func volume(_ name: BackupName.Volume) async throws(BackupError) -> ArchiveVolume {
        let object = BackupName.volume(name)
        let bytes = try await get(object, limit: ArchiveVolume.longestByteCount)
        guard BackupDigest(of: bytes) == name.digest else {
            throw .damaged(object: path(of: object), reason: "its content is not what its name says")
        }
        let volume = try ArchiveVolume(bytes: bytes, object: path(of: object))
        guard volume.collection == name.collection, volume.number == name.number, volume.revision == name.revision
        else { throw .damaged(object: path(of: object), reason: "it is another volume than its name says") }
        return volume
    }

    /// The entries of a part, which are what the volume says that they are.
    ///
    /// - Precondition: the part has a segment.
    package func segment(
        of part: ArchiveVolume.Part,
        in collection: CollectionID
    ) async throws(BackupError) -> LogSegment {
        guard let named = part.segment else { preconditionFailure("a part without entries has no segment") }
        let name = BackupName.segment(named.digest)
        let object = path(of: name)
        let bytes = try await get(name, limit: LogSegment.longestByteCount)
        guard bytes.count == Int(named.byteCount) else {
            throw .damaged(object: object, reason: "it has \(bytes.count) of \(named.byteCount) bytes")
        }
        guard BackupDigest(of: bytes) == named.digest else {
            throw .damaged(object: object, reason: "its content is not what its name says")
        }
        let segment = try LogSegment(bytes: bytes, object: object)
        guard segment.collection == collection, segment.shardIndex == part.shard.index,
            segment.firstSequence == part.start.sequence + 1, segment.entries.count == Int(named.entryCount),
            segment.entries.first.map({ $0.time >= part.start.time }) ?? false,
            segment.entries.last?.time == part.end.time
        else { throw .damaged(object: object, reason: "its entries are not those that the archive names") }
        return segment
    }
}
