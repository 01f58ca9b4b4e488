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

    static func table(_ catalogue: BackupCatalogue) -> String {
        var table = TextTable([
            .init("backup", widthLimit: 100), .init("collection"), .init("taken"), .init("age", .right),
            .init("faces", .right), .init("shards", .right), .init("bytes", .right),
        ])
        for entry in catalogue.entries {
            let manifest = entry.manifest
            table.append([
                entry.name, entry.collection, time(manifest), NumberText.duration(age(manifest)),
                "\(manifest.faceCount)", "\(manifest.shards.count)", NumberText.bytes(manifest.byteCount),
            ])
        }
        return table.rendered()
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
