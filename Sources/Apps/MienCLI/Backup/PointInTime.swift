import ArgumentParser
import Backups
import EmbeddingFiles
import FaceModel
import MienClient
import PartitionEngine

/// The moment that a restore goes to, from the command line, and the backup that it begins with.
struct PointInTime {
    var target: ArchiveTarget

    /// - Parameters:
    ///   - time: as it was given.
    ///   - sequences: as they were given, such as `3:1042`.
    /// - Returns: nil for neither: the backup's own moment.
    init?(time: Timestamp?, sequences: [ShardSequence]) {
        if let time {
            target = .time(time)
        } else if !sequences.isEmpty {
            target = .sequences(Dictionary(sequences.map { ($0.shard, $0.sequence) }, uniquingKeysWith: max))
        } else {
            return nil
        }
    }

    /// A write of a shard.
    struct ShardSequence: Equatable, Sendable {
        var shard: UInt32
        var sequence: UInt64

        @Sendable static func parse(_ text: String) throws -> ShardSequence {
            let parts = text.split(separator: ":", omittingEmptySubsequences: false)
            guard parts.count == 2, let shard = UInt32(parts[0]), let sequence = UInt64(parts[1]) else {
                throw ValidationError("'\(text)' is no write of a shard; give shard and sequence, such as 3:1042.")
            }
            return ShardSequence(shard: shard, sequence: sequence)
        }
    }

    @Sendable static func time(_ text: String) throws -> Timestamp {
        guard let milliseconds = TimestampText.milliseconds(rfc3339: text) else {
            throw ValidationError(
                "'\(text)' is no time; write it with its zone, such as 2026-11-27T02:15:00Z or "
                    + "2026-11-27T03:15:00.250+01:00."
            )
        }
        return Timestamp(milliseconds: milliseconds)
    }

    /// The newest backup that the moment can be come to from, and what has to be done after it. Writes are those of the
    /// collection that the newest backup is of: one that had the name before numbered its own.
    ///
    /// - Parameters:
    ///   - backup: the one to begin with; nil for any.
    ///   - collection: whose backups count, unless one is named.
    func choose(
        _ backup: String?,
        of collection: String,
        in store: any BackupStore
    ) async throws(CommandFailure) -> (entry: BackupCatalogue.Entry, plan: ArchivePlan) {
        var candidates: [BackupCatalogue.Candidate] = []
        if let backup {
            candidates = [.init(name: backup)]
        } else {
            candidates = try await BackupCatalogue.candidates(of: collection, in: store)
        }
        var newest: CollectionID?
        var chains: [CollectionID: ArchiveChain] = [:]
        var moments: [ClosedRange<Timestamp>] = []
        var refusal: ArchiveRefusal?
        for candidate in candidates {
            let entry = try await candidate.entry(in: store)
            let id = entry.manifest.collection.id
            newest = newest ?? id
            if case .sequences = self.target, id != newest { continue }
            if chains[id] == nil {
                chains[id] = try await keeping { () async throws(BackupError) in
                    try await ArchiveChain.read(id, in: store)
                }
            }
            guard let chain = chains[id] else { continue }
            let target = target
            let result = try await keeping { () async throws(BackupError) in
                try await chain.plan(after: entry.manifest, to: target, in: store) { LogReplay.epoch(of: $0) }
            }
            switch result {
            case .success(let plan): return (entry, plan)
            case .failure(let reason):
                refusal = refusal ?? reason
                if let range = chain.moments(after: entry.manifest) { moments.append(range) }
            }
        }
        guard let refusal else {
            throw CommandFailure(
                .no,
                candidates.isEmpty
                    ? "\(store.place) has no backup of a collection '\(collection)'"
                    : "\(store.place) has no archived log of '\(collection)': only a backup's own moment can be "
                        + "restored; set coordinator.archive.place, and make a backup"
            )
        }
        throw CommandFailure(.no, "\(Self.sentence(refusal)); \(Self.sentence(moments))")
    }

    private static func sentence(_ refusal: ArchiveRefusal) -> String {
        switch refusal {
        case .notArchived(let shard): "shard \(shard) is not archived as it was when the backup was made"
        case .backupNotCovered(let shard):
            "the archived log of shard \(shard) does not go on from the backup: it begins later, or has a gap there"
        case .beforeBackup: "that moment is before every backup that the archive goes on from"
        case .beyondArchive(let shard, let until): "the log of shard \(shard) is archived until \(text(until)) only"
        case .replaced(let shard, let until):
            "other shards have taken the place of shard \(shard), whose log is archived until \(text(until)): later "
                + "moments need a backup that was made after that"
        case .noSuchSequence(let shard, let first, let last):
            "of shard \(shard) the writes from \(first) to \(last) can be restored"
        case .noSuchShard(let shard): "the backup has no shard \(shard)"
        }
    }

    /// What is possible, ranges that meet as one.
    private static func sentence(_ moments: [ClosedRange<Timestamp>]) -> String {
        var joined: [ClosedRange<Timestamp>] = []
        for range in moments.sorted(by: { $0.lowerBound < $1.lowerBound }) {
            if let last = joined.last, range.lowerBound <= last.upperBound {
                joined[joined.count - 1] = last.lowerBound...max(last.upperBound, range.upperBound)
            } else {
                joined.append(range)
            }
        }
        guard !joined.isEmpty else { return "no moment can be restored: make a backup while the log is archived" }
        let texts = joined.map { "from \(text($0.lowerBound)) to \(text($0.upperBound))" }
        return "moments that can be restored are " + texts.joined(separator: ", and ")
    }

    static func text(_ time: Timestamp) -> String {
        TimeText.text(Face.Timestamp(millisecondsSince1970: time.milliseconds))
    }
}
