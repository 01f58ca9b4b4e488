package import FaceModel
internal import PartitionStore

/// What entries of a shard's log make of the faces that a backup has: which of those stay, and which entries bring what
/// is there in the end. Pure.
///
/// Entries are given twice: first all to ``add(_:behind:through:)``, which keeps what became of each face and no
/// embedding, then to ``faces(of:)``. In memory are about a hundred bytes for each face that they change.
package struct LogReplay: Sendable {
    private enum Fate {
        case stored(FaceVersion, expires: Timestamp?)
        case removed
        /// Unless it does not expire by then: that only the backup tells.
        case removedIfExpired(by: Timestamp)
    }

    /// Receipts that a partition keeps.
    private static let receiptLimit = 65_536

    private var fates: [FaceID: Fate] = [:]
    /// Keys of the newest writes that had an effect, as receipts have them.
    private var keys: Set<IdempotencyKey> = []
    private var keyOrder: [IdempotencyKey] = []
    private var oldestKey = 0
    /// The last entry that was added.
    package private(set) var position: ArchivePosition
    private let cut: FaceVersion

    /// - Parameters:
    ///   - cut: the last write that the backup has.
    ///   - start: the place behind which the first entry comes, at most the cut.
    package init(after cut: FaceVersion, from start: ArchivePosition) {
        self.cut = cut
        position = start
    }

    /// For a log of which nothing is wanted but that it has no fault.
    package init(checkingFrom start: ArchivePosition) {
        self.init(after: FaceVersion(epoch: 0, sequence: .max), from: start)
    }

    /// Takes the next entry: it must continue the one before.
    ///
    /// - Throws: ``LogReplayError``.
    package mutating func add(_ archived: ArchivedEntry) throws(LogReplayError) {
        let entry = try Self.entry(archived)
        guard entry.sequence == position.sequence + 1, entry.continues(position.chain) else {
            throw .notNext(sequence: position.sequence + 1)
        }
        // So it is where what comes begins behind the cut.
        guard position.sequence != cut.sequence || position.epoch == cut.epoch else {
            throw .otherHistory(sequence: cut.sequence)
        }
        position = ArchivePosition(
            sequence: entry.sequence,
            epoch: entry.epoch,
            chain: entry.chain,
            time: archived.time
        )
        guard entry.sequence > cut.sequence else {
            // Another history has another epoch at the cut.
            guard entry.sequence < cut.sequence || entry.epoch == cut.epoch else {
                throw .otherHistory(sequence: entry.sequence)
            }
            note(entry, archived.effect)
            return
        }
        guard note(entry, archived.effect) else { return }
        let version = FaceVersion(epoch: entry.epoch, sequence: entry.sequence)
        switch entry.operation {
        case .beginEpoch: break
        case .enrol(let rows, _):
            for row in rows { fates[row.id] = .stored(version, expires: row.metadata.expires) }
        case .delete(let faces):
            for face in faces { fates[face] = .removed }
        case .expire(let moment, let faces):
            for face in faces {
                switch fates[face] {
                case .stored(_, let expires?) where expires <= moment: fates[face] = .removed
                case .stored, .removed: break
                case .removedIfExpired(let earlier): fates[face] = .removedIfExpired(by: max(earlier, moment))
                case nil: fates[face] = .removedIfExpired(by: moment)
                }
            }
        case .restore(let rows, _, _):
            for row in rows {
                if case .stored(let version, _)? = fates[row.id], version >= row.version { continue }
                fates[row.id] = .stored(row.version, expires: row.metadata.expires)
            }
        }
    }

    /// Notes a write's key; whether the write had an effect.
    @discardableResult
    private mutating func note(_ entry: LogEntry, _ effect: ArchivedEntry.Effect) -> Bool {
        switch entry.operation {
        case .beginEpoch, .expire: return true
        case .restore: return effect != .repeated
        case .enrol, .delete: break
        }
        switch effect {
        case .repeated: return false
        case .unknown where keys.contains(entry.key): return false
        case .unknown, .applied: break
        }
        if keys.insert(entry.key).inserted {
            keyOrder.append(entry.key)
            if keyOrder.count - oldestKey > Self.receiptLimit {
                keys.remove(keyOrder[oldestKey])
                oldestKey += 1
            }
            if oldestKey > Self.receiptLimit {
                keyOrder.removeFirst(oldestKey)
                oldestKey = 0
            }
        }
        return true
    }

    /// Whether a face of the backup is still as it was there.
    package func keeps(_ face: ArchivedFaces.Row) -> Bool {
        switch fates[face.id] {
        case nil: true
        case .stored?, .removed?: false
        case .removedIfExpired(let moment)?: face.metadata.expires.map { $0 > moment } ?? true
        }
    }

    /// Those of an entry's faces that are there in the end as it brings them; nil when there are none.
    package func faces(of archived: ArchivedEntry) throws(LogReplayError) -> ArchivedFaces? {
        let entry = try Self.entry(archived)
        guard entry.sequence > cut.sequence, archived.effect != .repeated,
            let embeddings = entry.operation.embeddings
        else { return nil }
        let rows: [ArchivedFaces.Row]
        switch entry.operation {
        case .enrol(let enrolled, _):
            let version = FaceVersion(epoch: entry.epoch, sequence: entry.sequence)
            rows = enrolled.map { ArchivedFaces.Row(id: $0.id, version: version, metadata: $0.metadata) }
        case .restore(let restored, _, _): rows = restored
        case .beginEpoch, .delete, .expire: return nil
        }
        // Of several of one id the last counts.
        var lasts: [FaceID: Int] = [:]
        for (index, row) in rows.enumerated() { lasts[row.id] = index }
        var faces = ArchivedFaces(dimension: embeddings.shape.dimension, precision: embeddings.shape.precision)
        for (index, row) in rows.enumerated() where lasts[row.id] == index {
            guard case .stored(let version, _)? = fates[row.id], version == row.version else { continue }
            faces.append(row, embedding: embeddings.row(index))
        }
        return faces.count > 0 ? faces : nil
    }

    /// The epoch of an entry; nil when it is damaged.
    package static func epoch(of archived: ArchivedEntry) -> UInt64? { try? entry(archived).epoch }

    private static func entry(_ archived: ArchivedEntry) throws(LogReplayError) -> LogEntry {
        do throws(LogEntryError) {
            return try LogEntry(bytes: archived.bytes)
        } catch {
            throw .damaged(reason: "\(error)")
        }
    }
}

/// Why archived entries are not a log that goes on from a backup.
package enum LogReplayError: Error, Hashable, Sendable {
    case damaged(reason: String)
    case notNext(sequence: UInt64)
    case otherHistory(sequence: UInt64)
}

extension LogReplayError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .damaged(let reason): "an entry of the log is damaged: \(reason)"
        case .notNext(let sequence): "entry \(sequence) of the log does not continue the one before"
        case .otherHistory(let sequence): "entry \(sequence) of the log is another one than the backup was cut behind"
        }
    }
}
