import MienClient

/// A collection as text and as JSON.
enum CollectionReport {
    static func json(_ collection: CollectionInfo) -> JSONValue {
        let options = collection.options
        return .object([
            ("name", .string(options.name)), ("id", .string(collection.id)), ("faces", .count(collection.faceCount)),
            ("fresh", .count(collection.freshCount)), ("dimension", .count(options.dimension)),
            ("model", .string(options.embeddingModel)), ("precision", .string(options.storedPrecision.rawValue)),
            ("copies", .count(options.replicationFactor)), ("min_copies", .count(options.minimumInSync)),
            ("durability", .string(durability(options))), ("created", .string(TimeText.text(collection.created))),
            ("restored_from", .text(collection.restoredFrom)),
            ("training", .string(collection.training.rawValue)),
            ("training_under_way", collection.trainingUnderWay.map(json) ?? .null),
            ("codebook", collection.codebook.map(CodebookReport.json) ?? .null),
            ("codebook_standing", collection.standing.map(CodebookReport.json) ?? .null),
            ("shards", .array(collection.shards.map(json))),
        ])
    }

    private static func json(_ training: CollectionInfo.TrainingUnderWay) -> JSONValue {
        .object([
            ("generation", .count(training.generation)), ("worker", .string(training.workerID)),
            ("stage", .string(training.stage.rawValue)), ("share", .number(training.share)),
            ("elapsed_seconds", .number(NumberText.seconds(training.elapsed))),
        ])
    }

    private static func json(_ shard: CollectionInfo.Shard) -> JSONValue {
        .object([
            ("index", .count(shard.index)), ("worker", .text(shard.workerID)),
            ("state", .string(shard.state.rawValue)),
            ("faces", .count(shard.faceCount)), ("fresh", .count(shard.freshCount)),
            ("tombstones", .count(shard.tombstoneCount)), ("generation", .count(shard.generation)),
            ("older_generation", shard.olderGeneration > 0 ? .count(shard.olderGeneration) : .null),
            ("older_rows", .count(shard.olderRowCount)), ("in_sync", .count(shard.inSyncCount)),
            ("replicas", .array(shard.replicas.map { json($0, of: shard) })),
        ])
    }

    private static func json(_ replica: CollectionInfo.Replica, of shard: CollectionInfo.Shard) -> JSONValue {
        .object([
            ("worker", .string(replica.workerID)), ("primary", .flag(replica.isPrimary)),
            ("in_sync", .flag(replica.isInSync)), ("answers_searches", .flag(replica.answersSearches)),
            ("state", .string(replica.state.rawValue)), ("sequence", .count(replica.sequence)),
            ("behind", .count(shard.lag(of: replica))),
        ])
    }

    /// Where one has several copies, how many of all copies are in sync; then those of which one copy may be all.
    static func table(_ collections: [CollectionInfo]) -> String {
        let hasCopies = collections.contains { $0.options.replicationFactor > 1 }
        let copyColumns: [TextTable.Column] = hasCopies ? [.init("copies", .right), .init("in sync", .right)] : []
        var table = TextTable(
            [.init("collection", widthLimit: 30), .init("faces", .right), .init("shards", .right)] + copyColumns
                + [.init("dimension", .right), .init("model", widthLimit: 24), .init("index", widthLimit: 36)]
        )
        for collection in collections {
            let options = collection.options
            let inSyncCount = collection.shards.reduce(0) { $0 + $1.inSyncCount }
            let copyCount = collection.shards.count * options.replicationFactor
            let copies = hasCopies ? ["\(options.replicationFactor)", "\(inSyncCount) of \(copyCount)"] : []
            table.append(
                [options.name, "\(collection.faceCount)", "\(collection.shards.count)"] + copies
                    + ["\(options.dimension)", options.embeddingModel, index(collection)]
            )
        }
        return table.rendered() + singleCopies(collections)
    }

    /// Names the collections whose writes are acknowledged when one copy has them.
    private static func singleCopies(_ collections: [CollectionInfo]) -> String {
        let names = collections.filter { $0.options.minimumInSync == 1 }.map(\.options.name)
        guard !names.isEmpty else { return "" }
        return "durability: single copy of \(NumberText.listed(names))\n"
    }

    /// How many copies are sure to have a write that was acknowledged.
    private static func durability(_ options: CollectionOptions) -> String {
        options.minimumInSync == 1 ? "single copy" : "\(options.minimumInSync) copies"
    }

    /// - Parameter names: the workers' addresses by their identities; one that is missing is shown by its identity.
    static func text(_ collection: CollectionInfo, _ names: [String: String] = [:]) -> String {
        let options = collection.options
        var facts = TextTable([.init("", leastWidth: 10), .init("", widthLimit: 86)])
        facts.append(["collection", options.name])
        facts.append(["faces", "\(collection.faceCount)"])
        facts.append(["dimension", "\(options.dimension), stored as \(options.storedPrecision.rawValue)"])
        facts.append(["model", options.embeddingModel])
        if options.replicationFactor > 1 { facts.append(["copies", "\(options.replicationFactor) of each shard"]) }
        facts.append(["durability", durabilityText(options)])
        if let backup = collection.restoredFrom {
            facts.append(["restoration", "under way, from \(backup): it answers nothing until it is whole"])
        }
        facts.append(["index", indexText(collection)])
        for fact in collection.codebook.map({ CodebookReport.facts($0, dimension: options.dimension) }) ?? [] {
            facts.append(fact)
        }
        for fact in collection.standing.map(CodebookReport.facts) ?? [] { facts.append(fact) }
        if let training = collection.trainingUnderWay {
            facts.append([
                "training",
                "generation \(training.generation), \(stageText(training)), "
                    + "for \(NumberText.duration(training.elapsed))",
            ])
            let trainer = names[training.workerID].map { "at \($0)" } ?? training.workerID
            facts.append(["trainer", "worker \(trainer)"])
        }
        facts.append(["created", TimeText.text(collection.created)])
        var shards = TextTable([
            .init("shard", .right), .init("faces", .right), .init("fresh", .right), .init("dead rows", .right),
            .init("codes"), .init("worker", widthLimit: 64), .init("state"),
        ])
        for shard in collection.shards {
            shards.append([
                "\(shard.index)", "\(shard.faceCount)", "\(shard.freshCount)", "\(shard.tombstoneCount)",
                codes(shard), shard.workerID.map { names[$0] ?? $0 } ?? "none", shard.state.rawValue,
            ])
        }
        let calibration = collection.codebook.map { "\n" + CodebookReport.calibrationTable($0) } ?? ""
        let replicas = options.replicationFactor > 1 ? "\n" + replicaTable(collection, names) : ""
        return facts.rendered(withTitles: false) + "\n" + shards.rendered() + replicas + calibration
    }

    private static func durabilityText(_ options: CollectionOptions) -> String {
        if options.minimumInSync > 1 {
            return durability(options) + ": a write is acknowledged once every copy in sync has it, at least so many"
        }
        return options.replicationFactor == 1
            ? durability(options) : durability(options) + ": writes go on while only one copy is in sync"
    }

    private static func replicaTable(_ collection: CollectionInfo, _ names: [String: String]) -> String {
        var table = TextTable([
            .init("shard", .right), .init("copy on worker", widthLimit: 64), .init("role"), .init("last write", .right),
            .init("behind", .right), .init("state"),
        ])
        for shard in collection.shards {
            for replica in shard.replicas {
                let role = replica.isPrimary ? "primary" : replica.isInSync ? "in sync" : "catching up"
                table.append([
                    "\(shard.index)", names[replica.workerID] ?? replica.workerID, role, "\(replica.sequence)",
                    "\(shard.lag(of: replica))", replica.state.rawValue,
                ])
            }
        }
        return table.rendered()
    }

    /// The generations that a shard's codes are of.
    private static func codes(_ shard: CollectionInfo.Shard) -> String {
        if shard.generation == 0 { return "none" }
        if shard.olderGeneration == 0 { return "\(shard.generation)" }
        return "\(shard.generation), \(shard.olderRowCount) rows of \(shard.olderGeneration)"
    }

    private static func index(_ collection: CollectionInfo) -> String {
        if collection.restoredFrom != nil { return "being restored" }
        return switch collection.training {
        case .notNeeded: "not needed yet"
        case .running: "training" + (collection.trainingUnderWay.map { ": " + stageText($0) } ?? "")
        case .trained: collection.codebook.map { "\($0.listCount) lists" } ?? "trained"
        }
    }

    private static func stageText(_ training: CollectionInfo.TrainingUnderWay) -> String {
        "\(training.stage.rawValue) \(Int(training.share * 100)) %"
    }

    private static func indexText(_ collection: CollectionInfo) -> String {
        switch (collection.training, collection.codebook) {
        case (.notNeeded, _): return "not needed yet: searches compare every embedding"
        case (.running, let codebook?): return "\(codebook.listCount) lists, the next in training"
        case (.trained, _?): return index(collection)
        case (.running, nil): return "in training: searches compare every embedding until it is there"
        case (.trained, nil): return "trained"
        }
    }
}
