import Backups
import FaceModel
import MienClient

/// Archived logs as text and as JSON.
enum ArchiveReport {
    /// The archive of every collection that has one, and what is wrong with those that cannot be read.
    static func read(
        _ store: any BackupStore
    ) async throws(CommandFailure) -> (chains: [ArchiveChain], problems: [BackupError]) {
        try await keeping { () async throws(BackupError) in
            var (chains, problems): ([ArchiveChain], [BackupError]) = ([], [])
            for collection in try await store.archives() {
                do throws(BackupError) {
                    if let chain = try await ArchiveChain.read(collection, in: store) { chains.append(chain) }
                } catch {
                    if case .storeFailed = error { throw error }
                    problems.append(error)
                }
            }
            chains.sort { ($0.name, $0.collection) < ($1.name, $1.collection) }
            return (chains: chains, problems: problems)
        }
    }

    /// Moments that can be restored, by the oldest backup that the archive goes on from.
    private static func moments(_ chain: ArchiveChain, _ backups: BackupCatalogue) -> ClosedRange<Timestamp>? {
        let ranges = backups.entries.filter { $0.manifest.collection.id == chain.collection }.compactMap {
            chain.moments(after: $0.manifest)
        }
        guard let first = ranges.map(\.lowerBound).min(), let last = ranges.map(\.upperBound).max() else { return nil }
        return first...last
    }

    static func table(_ chains: [ArchiveChain], _ backups: BackupCatalogue) -> String {
        var table = TextTable([
            .init("archived log of", widthLimit: 100), .init("restorable from"), .init("until"),
            .init("behind", .right), .init("entries", .right), .init("gaps", .right), .init("bytes", .right),
        ])
        for chain in chains {
            table.append([
                chain.name, moments(chain, backups).map { PointInTime.text($0.lowerBound) } ?? "no backup",
                chain.until.map(PointInTime.text) ?? "", behind(chain).map(NumberText.duration) ?? "",
                "\(chain.entryCount)", "\(chain.gapCount)", NumberText.bytes(chain.byteCount),
            ])
        }
        return table.rendered()
    }

    static func json(_ chains: [ArchiveChain], _ backups: BackupCatalogue) -> JSONValue {
        .array(
            chains.map { chain in
                let moments = moments(chain, backups)
                return .object([
                    ("collection", .string(chain.name)), ("collection_id", .string(chain.collection.description)),
                    ("restorable_from", .text(moments.map { PointInTime.text($0.lowerBound) })),
                    ("restorable_until", .text(moments.map { PointInTime.text($0.upperBound) })),
                    ("until", .text(chain.until.map(PointInTime.text))),
                    ("behind_seconds", behind(chain).map { .number(NumberText.seconds($0)) } ?? .null),
                    ("entries", .count(chain.entryCount)), ("gaps", .count(chain.gapCount)),
                    ("bytes", .count(chain.byteCount)), ("volumes", .count(chain.volumes.count)),
                    (
                        "shards",
                        .array(
                            chain.standings.map { standing in
                                .object([
                                    ("index", .count(UInt64(standing.shard.index))),
                                    ("epoch", .count(standing.position.epoch)),
                                    ("sequence", .count(standing.position.sequence)),
                                    ("until", .string(PointInTime.text(standing.until))),
                                ])
                            }
                        )
                    ),
                ])
            }
        )
    }

    private static func behind(_ chain: ArchiveChain) -> Duration? {
        chain.until.map { .milliseconds(max(0, TimeText.milliseconds - $0.milliseconds)) }
    }
}
