internal import ClusterModel
package import FaceModel

/// The moment that a restore goes to.
package enum ArchiveTarget: Hashable, Sendable {
    case time(Timestamp)
    /// Behind these writes of these shards, and in the others behind all that were ordered until then.
    case sequences([UInt32: UInt64])
}

/// Why a backup and an archive do not give what was asked for.
package enum ArchiveRefusal: Error, Hashable, Sendable {
    case notArchived(shard: UInt32)
    /// The archive of the shard begins behind the backup's cut, or anew.
    case backupNotCovered(shard: UInt32)
    /// The backup is younger.
    case beforeBackup
    case beyondArchive(shard: UInt32, until: Timestamp)
    /// Others have taken the shard's place since the backup, and it is archived up to then, or to the moment only.
    case replaced(shard: UInt32, until: Timestamp)
    case noSuchSequence(shard: UInt32, first: UInt64, last: UInt64)
    case noSuchShard(UInt32)
}

/// What of an archive has to be done after a backup to come to a moment.
package struct ArchivePlan: Hashable, Sendable {
    package struct Shard: Hashable, Sendable {
        package var shard: ArchiveVolume.Shard
        /// The backup's cut: entries behind it are done, those up to it are in the backup.
        package var cut: FaceVersion
        /// The last entry that is done.
        package var last: UInt64
        /// The place that the first part begins behind.
        package var start: ArchivePosition
        /// Those with entries behind the cut and up to the last.
        package var parts: [ArchiveVolume.Part]
    }

    package var time: Timestamp
    package var shards: [Shard]

    /// Entries that are done.
    package var entryCount: UInt64 { shards.reduce(0) { $0 + ($1.last - $1.cut.sequence) } }
    /// Bytes that are read for it, once.
    package var byteCount: UInt64 {
        shards.reduce(0) { $0 + $1.parts.reduce(UInt64(0)) { $0 + UInt64($1.segment?.byteCount ?? 0) } }
    }
    /// The highest epoch that a face can be of.
    package var epoch: UInt64 { shards.reduce(0) { max($0, $1.parts.last?.end.epoch ?? 0, $1.start.epoch) } }
}

extension ArchiveChain {
    /// A run that a backup's cut may lie in.
    private struct Candidate {
        var run: Run
        /// The part that the cut lies in, where an entry of another epoch may be at its sequence.
        var doubtful: ArchiveVolume.Part?
    }

    /// The runs of a shard that a backup's cut may lie in, the last first; never empty.
    ///
    /// After faces were given up a log goes on from an earlier place, and its run has other entries under the same
    /// sequences. What tells them apart is the epoch at the cut, which is between those of the places beside it.
    private func candidates(of shard: BackupManifest.Shard) throws(ArchiveRefusal) -> [Candidate] {
        let own = ArchiveVolume.Shard(index: shard.index, range: shard.range)
        guard let line = lines.first(where: { $0.shard == own }) else { throw .notArchived(shard: shard.index) }
        let candidates = line.runs.reversed().compactMap { run -> Candidate? in
            let places = [run.start] + run.parts.map(\.end)
            guard let before = places.last(where: { $0.sequence <= shard.sequence }),
                let behind = places.first(where: { $0.sequence >= shard.sequence }),
                before.epoch <= shard.epoch, shard.epoch <= behind.epoch
            else { return nil }
            guard before.epoch < behind.epoch else { return Candidate(run: run, doubtful: nil) }
            return Candidate(run: run, doubtful: run.parts.first { $0.end.sequence >= shard.sequence })
        }
        guard !candidates.isEmpty else { throw .backupNotCovered(shard: shard.index) }
        return candidates
    }

    /// The run of a shard that a backup's cut lies in: of several the last, since it goes on furthest.
    ///
    /// - Parameter epoch: of an entry; nil where that is not looked into, and for one that does not tell.
    private func run(
        of shard: BackupManifest.Shard,
        in store: some BackupStore,
        _ epoch: ((ArchivedEntry) -> UInt64?)?
    ) async throws -> Run {
        for candidate in try candidates(of: shard) {
            guard let part = candidate.doubtful, let epoch else { return candidate.run }
            let segment = try await store.segment(of: part, in: collection)
            let found = epoch(segment.entries[Int(shard.sequence - segment.firstSequence)])
            if found ?? shard.epoch == shard.epoch { return candidate.run }
        }
        throw ArchiveRefusal.backupNotCovered(shard: shard.index)
    }

    /// Moments that a backup and this archive can be restored to, about: the first is not before the backup's cut. Nil
    /// when there are none. Of several runs that the cut may lie in it goes by one of which that is sure.
    package func moments(after backup: BackupManifest) -> ClosedRange<Timestamp>? {
        var (first, last) = (Timestamp(milliseconds: .min), Timestamp(milliseconds: .max))
        for shard in backup.shards {
            do throws(ArchiveRefusal) {
                let candidates = try candidates(of: shard)
                let run = (candidates.first { $0.doubtful == nil } ?? candidates[0]).run
                let places = [run.start] + run.parts.map(\.end)
                guard let place = places.first(where: { $0.sequence >= shard.sequence }) else { return nil }
                first = max(first, place.time)
                last = min(last, run.until)
            } catch {
                return nil
            }
        }
        return first <= last ? first...last : nil
    }

    /// What has to be done after a backup to come to a moment.
    ///
    /// - Parameter epoch: of an entry, which those know who know logs: an archive that began anew after faces were
    ///   given up may have other entries than the backup was cut behind. Nil where that is not looked into, and for an
    ///   entry that does not tell.
    /// - Throws: ``BackupError`` when a segment that has to be looked into cannot be read.
    package func plan(
        after backup: BackupManifest,
        to target: ArchiveTarget,
        in store: some BackupStore,
        _ epoch: ((ArchivedEntry) -> UInt64?)? = nil
    ) async throws(BackupError) -> Result<ArchivePlan, ArchiveRefusal> {
        var plan = ArchivePlan(time: Timestamp(milliseconds: .min), shards: [])
        var lasts: [UInt32: UInt64] = [:]
        do {
            switch target {
            case .time(let time): plan.time = time
            case .sequences(let sequences):
                for (index, sequence) in sequences {
                    guard let shard = backup.shards.first(where: { $0.index == index }) else {
                        return .failure(.noSuchShard(index))
                    }
                    let run = try await run(of: shard, in: store, epoch)
                    guard (shard.sequence...max(run.end.sequence, shard.sequence)).contains(sequence) else {
                        return .failure(
                            .noSuchSequence(shard: index, first: shard.sequence, last: run.end.sequence)
                        )
                    }
                    lasts[index] = sequence
                    plan.time = max(plan.time, try await time(of: sequence, in: run, store))
                }
            }
            for shard in backup.shards {
                let run = try await run(of: shard, in: store, epoch)
                var last = lasts[shard.index]
                if last == nil {
                    guard plan.time <= run.until else {
                        let own = ArchiveVolume.Shard(index: shard.index, range: shard.range)
                        return .failure(
                            replaced.contains(own)
                                ? .replaced(shard: shard.index, until: run.until)
                                : .beyondArchive(shard: shard.index, until: run.until)
                        )
                    }
                    last = try await lastSequence(until: plan.time, in: run, store)
                }
                guard let last, last >= shard.sequence else { return .failure(.beforeBackup) }
                let parts = run.parts.filter { $0.end.sequence > shard.sequence && $0.start.sequence < last }
                plan.shards.append(
                    ArchivePlan.Shard(
                        shard: ArchiveVolume.Shard(index: shard.index, range: shard.range),
                        cut: FaceVersion(epoch: shard.epoch, sequence: shard.sequence),
                        last: last,
                        start: parts.first?.start ?? run.start,
                        parts: parts
                    )
                )
            }
            return .success(plan)
        } catch let error as BackupError {
            throw error
        } catch let error as ArchiveRefusal {
            return .failure(error)
        } catch {
            preconditionFailure("another error")
        }
    }

    /// When an entry of a run was ordered.
    private func time(
        of sequence: UInt64,
        in run: Run,
        _ store: some BackupStore
    ) async throws(BackupError) -> Timestamp {
        guard let part = run.parts.first(where: { $0.start.sequence < sequence && sequence <= $0.end.sequence }) else {
            return run.start.time
        }
        let segment = try await store.segment(of: part, in: collection)
        return segment.entries[Int(sequence - segment.firstSequence)].time
    }

    /// The last entry of a run that was ordered up to a moment; nil when the run begins later.
    private func lastSequence(
        until time: Timestamp,
        in run: Run,
        _ store: some BackupStore
    ) async throws(BackupError) -> UInt64? {
        guard run.start.time <= time else { return nil }
        guard let part = run.parts.first(where: { $0.end.time > time }) else { return run.end.sequence }
        let segment = try await store.segment(of: part, in: collection)
        return part.start.sequence + UInt64(segment.entries.prefix { $0.time <= time }.count)
    }
}
