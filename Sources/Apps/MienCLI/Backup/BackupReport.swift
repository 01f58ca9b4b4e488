import Backups
import ClusterModel
import FaceModel
import MienClient

/// Backups as text and as JSON.
enum BackupReport {
    static func text(_ outcome: BackupOutcome, in place: String) -> String {
        let manifest = outcome.manifest
        return "Backed up \(manifest.collection.name) to \(place) as \(outcome.name): "
            + "\(NumberText.counted(manifest.faceCount, "face")), \(NumberText.bytes(manifest.byteCount)) in "
            + "\(NumberText.counted(manifest.blocks.count, "block")), of which \(outcome.newBlockCount) with "
            + "\(NumberText.bytes(outcome.newByteCount)) are new. Cut in \(NumberText.duration(outcome.cutTime)), "
            + "\(NumberText.duration(outcome.time)) in all."
    }

    static func json(_ outcome: BackupOutcome) -> JSONValue {
        .object(
            members(outcome.name, outcome.manifest) + [
                ("new_blocks", .count(outcome.newBlockCount)), ("new_bytes", .count(outcome.newByteCount)),
                ("read_slices", .count(outcome.readSliceCount)),
                ("cut_seconds", .number(NumberText.seconds(outcome.cutTime))),
                ("seconds", .number(NumberText.seconds(outcome.time))),
            ]
        )
    }

    /// Whose a backup is stands in it where names alone do not say.
    static func table(_ catalogue: BackupCatalogue) -> String {
        let manifests = catalogue.entries.map(\.manifest)
        let hasNamesakes = Dictionary(grouping: manifests, by: \.collection.name).values.contains { namesakes in
            Set(namesakes.map(\.collection.id)).count > 1
        }
        let hasClusters = Set(manifests.map(\.cluster)).count > 1
        let hasLosses = manifests.contains { $0.loss != nil }
        let further: [(isShown: Bool, title: String, cell: (BackupManifest) -> String)] = [
            (hasNamesakes, "collection id", { $0.collection.id.description }),
            (hasClusters, "cluster", { $0.cluster.description }),
            (hasLosses, "faces given up", { $0.loss.map(PointInTime.text) ?? "" }),
        ]
        let shown = further.filter(\.isShown)
        var columns: [TextTable.Column] = [
            .init("backup", widthLimit: 100), .init("collection"), .init("taken"), .init("age", .right),
            .init("faces", .right), .init("shards", .right), .init("bytes", .right),
        ]
        for column in shown { columns.append(.init(column.title)) }
        var table = TextTable(columns)
        for entry in catalogue.entries {
            let manifest = entry.manifest
            var cells = [
                entry.name, entry.collection, time(manifest), NumberText.duration(age(manifest)),
                "\(manifest.faceCount)", "\(manifest.shards.count)", NumberText.bytes(manifest.byteCount),
            ]
            for column in shown { cells.append(column.cell(manifest)) }
            table.append(cells)
        }
        return table.rendered()
    }

    /// What people are told of a backup whose collection had lost faces; nil of another.
    static func loss(of manifest: BackupManifest) -> String? {
        manifest.loss.map { "faces that were given up at \(PointInTime.text($0)) may be missing in it" }
    }

    static func json(_ catalogue: BackupCatalogue) -> JSONValue {
        .array(catalogue.entries.map { .object(members($0.name, $0.manifest)) })
    }

    private static func members(_ name: String, _ manifest: BackupManifest) -> [(String, JSONValue)] {
        let configuration = manifest.collection.configuration
        return [
            ("backup", .string(name)), ("collection", .string(configuration.name)),
            ("collection_id", .string(manifest.collection.id.description)), ("taken", .string(time(manifest))),
            ("age_seconds", .number(NumberText.seconds(age(manifest)).rounded())),
            ("software", .string(manifest.softwareVersion)), ("cluster", .string(manifest.cluster.description)),
            ("faces", .count(manifest.faceCount)), ("dimension", .count(configuration.dimension)),
            ("model", .string(configuration.embeddingModel)),
            ("precision", .string(configuration.storedPrecision.name)), ("blocks", .count(manifest.blocks.count)),
            ("bytes", .count(manifest.byteCount)), ("shards", .array(manifest.shards.map(json))),
            ("codebook", manifest.codebook.map { .count(UInt64($0.generation)) } ?? .null),
            ("has_loss", .flag(manifest.loss != nil)), ("loss", .text(manifest.loss.map(PointInTime.text))),
        ]
    }

    private static func json(_ shard: BackupManifest.Shard) -> JSONValue {
        .object([
            ("index", .count(UInt64(shard.index))), ("epoch", .count(shard.epoch)),
            ("sequence", .count(shard.sequence)), ("faces", .count(shard.faceCount)),
        ])
    }

    private static func time(_ manifest: BackupManifest) -> String {
        TimeText.text(Face.Timestamp(millisecondsSince1970: manifest.created.milliseconds))
    }

    static func age(_ manifest: BackupManifest) -> Duration {
        .milliseconds(max(0, TimeText.milliseconds - manifest.created.milliseconds))
    }
}
