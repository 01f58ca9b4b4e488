import Foundation
import MienClient
import Testing

extension Integration {
    /// Restores to moments between backups, from the archived log. What the collection held at each moment the story
    /// has written down itself.
    @Suite struct PointInTimeTests {
        private static let collection = FaceWriter.collection

        /// A moment between two writes: nothing is under way, so every shard's clock tells the same of it.
        private struct Moment {
            var time: String
            /// The same by the clock of the writer.
            var instant: ContinuousClock.Instant
            var faces: [Face.ID: Stored]
            var answers: [[Answer]]
        }

        private struct Stored: Equatable {
            var version: Face.Version
            var metadata: Face.Metadata
            var embedding: [Float]?

            init(_ face: Face) {
                version = face.version
                metadata = face.metadata
                embedding = face.embedding
            }
        }

        private struct Answer: Equatable {
            var id: Face.ID
            var similarity: Float
        }

        @Test(.timeLimit(.minutes(5)), arguments: [3, 1])
        func aDeletionByAccidentIsUndoneToTheMomentBefore(copies: Int) async throws {
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("point in time \(copies)")
                let place = stage.path("backups")
                // It is not made, lest a disk that is not mounted be taken for an empty one.
                try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
                let cluster = try Cluster(
                    stage,
                    workers: 3,
                    coordinatorSettings: ["coordinator.archive.place=\(place)", "coordinator.archive.interval=200ms"]
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                try await FaceWriter.createCollection(shards: 3, copies: copies, client)
                var writer = HistoryWriter(seed: seed, number: 1)
                for _ in 0..<8 { try await writer.writeOnce(to: client) }
                try await Self.eventuallyArchived(stage, place, until: Self.now())
                let early = try await Self.moment(client, writer)
                try await writer.writeOnce(to: client)
                let made = try await cluster.mien("backup", "create", Self.collection, "--to", place, "--json")
                #expect(made.status == 0, "\(made)")

                var moments = [try await Self.moment(client, writer)]
                for batch in 0..<16 {
                    if batch == 5 {
                        // In the middle of archiving: another primary goes on, or this one when it is back.
                        cluster.workers[0].kill()
                        if copies == 1 { try await cluster.workers[0].start() }
                    }
                    if batch == 8 {
                        // Whoever carries the log goes on where the list ends.
                        cluster.coordinator.kill()
                        try await cluster.coordinator.start()
                    }
                    if batch == 10, copies > 1 { try await cluster.workers[0].start() }
                    // The place is away for a while: primaries keep the log.
                    if batch == 11 { try FileManager.default.moveItem(atPath: place, toPath: place + "-away") }
                    if batch == 14 { try FileManager.default.moveItem(atPath: place + "-away", toPath: place) }
                    try await writer.writeOnce(to: client)
                    moments.append(try await Self.moment(client, writer))
                }
                let person = Array(writer.ids.filter { moments.last!.faces[$0] != nil }.prefix(7))
                let before = try await Self.moment(client, writer)
                let lastWrites = try await Self.eventuallyArchived(stage, place, until: before.time).shards
                    .map { "\($0.index):\($0.sequence)" }
                try await writer.delete(person, from: client)
                let after = try await Self.moment(client, writer)
                for _ in 0..<4 { try await writer.writeOnce(to: client) }
                moments.append(try await Self.moment(client, writer))
                try await Self.eventuallyArchived(stage, place, until: moments.last!.time)

                let sound = try await stage.mien("backup", "verify", place)
                #expect(sound.status == 0 && sound.output.contains("archived log of"), "\(sound)")
                let words = ["backup", "restore", place, "--from", Self.collection]
                for (name, moment) in [
                    ("backed-up", moments[0]), ("killed", moments[6]), ("later", moments[13]), ("before", before),
                    ("after", after), ("last", moments.last!),
                ] {
                    let restored = try await cluster.mien(
                        words + ["--collection", name, "--at", moment.time, "--undelete", "--copies", "1"]
                            + ["--shards", name == "killed" ? "5" : "2"]
                    )
                    #expect(restored.status == 0, "\(restored)")
                    try await Self.expect(name, toBe: moment, client, writer)
                }
                // What was deleted later stays away unless it is asked for.
                let strict = try await cluster.mien(
                    words + ["--collection", "strict", "--at", before.time, "--copies", "1"]
                )
                #expect(strict.status == 0, "\(strict)")
                var kept = try await FaceWriter.storedFaces(client, in: "strict")
                #expect(!kept.isEmpty && Set(kept.keys).isDisjoint(with: person))
                let fault = writer.fault(in: &kept, between: before.instant...before.instant)
                #expect(fault == nil && kept.isEmpty, "\(kept.count) faces of nobody")

                // The last writes of all shards name a moment too, whatever clocks say.
                #expect(lastWrites.count == 3)
                let bySequence = words + ["--undelete", "--copies", "1", "--shards", "4"]
                let named = try await cluster.mien(
                    bySequence + ["--collection", "named"] + lastWrites.flatMap { ["--at-sequence", $0] }
                )
                #expect(named.status == 0, "\(named)")
                try await Self.expect("named", toBe: before, client, writer)
                let beyond = try await cluster.mien(
                    bySequence + ["--collection", "never", "--at-sequence", "0:999999999"]
                )
                #expect(beyond.status == 1 && beyond.error.contains("of shard 0 the writes from"), "\(beyond)")

                // Moments that cannot be restored are refused with those that can.
                for (time, sentence) in [(early.time, "is before"), ("2100-01-01T00:00:00Z", "is archived until")] {
                    let refused = try await cluster.mien(words + ["--collection", "never", "--at", time])
                    #expect(
                        refused.status == 1 && refused.error.contains(sentence)
                            && refused.error.contains("can be restored are from"),
                        "\(refused)"
                    )
                }
                // Nothing that is needed is pruned.
                let pruned = try await stage.mien("backup", "prune", place, "--keep", "1")
                #expect(pruned.status == 0, "\(pruned)")
                let whole = try await stage.mien("backup", "verify", place)
                #expect(whole.status == 0, "\(whole)")
                // Damage is named, and nothing is made of it.
                let segment = try Self.newestSegment(place)
                let bytes = try Data(contentsOf: URL(fileURLWithPath: segment))
                try bytes.dropLast(9).write(to: URL(fileURLWithPath: segment))
                let found = try await stage.mien("backup", "verify", place)
                #expect(found.status == 65 && found.output.contains(segment), "\(found)")
                let damaged = try await cluster.mien(
                    words + ["--collection", "never", "--at", moments.last!.time, "--undelete"]
                )
                #expect(damaged.status == 65 && damaged.error.contains(segment), "\(damaged)")
                await #expect(throws: MienClientError.self) { try await client.describe("never") }
                await client.close()
            }
        }

        /// The logs of shards that are split or merged are archived to their ends before they go, and that is waited
        /// for while the place is away: moments until then are restored afterwards, later ones need another backup.
        @Test(.timeLimit(.minutes(5)), arguments: [3, 1])
        func momentsBeforeASplitAndAMergeStayRestorable(copies: Int) async throws {
            try await Stage.play { stage in
                let place = stage.path("backups")
                try FileManager.default.createDirectory(atPath: place, withIntermediateDirectories: false)
                let cluster = try Cluster(
                    stage,
                    workers: 3,
                    coordinatorSettings: ["coordinator.archive.place=\(place)", "coordinator.archive.interval=2s"]
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(15))
                try await FaceWriter.createCollection(shards: 2, copies: copies, client)
                var writer = HistoryWriter(seed: SeededRandom.storySeed("split in time \(copies)"), number: 1)
                for _ in 0..<4 { try await writer.writeOnce(to: client) }
                try await Self.eventuallyArchived(stage, place, until: Self.now())
                for (change, shardCount) in [("split", 4), ("merge", 2)] {
                    let made = try await cluster.mien("backup", "create", Self.collection, "--to", place, "--json")
                    #expect(made.status == 0, "\(made)")
                    try await writer.writeOnce(to: client)
                    var before = try await Self.moment(client, writer)
                    let isAway = change == "merge"
                    if isAway { try FileManager.default.moveItem(atPath: place, toPath: place + "-away") }
                    let begun = try await cluster.mien("shard", change, Self.collection, "--all")
                    #expect(begun.status == 0, "\(begun)")
                    if isAway {
                        try await Task.sleep(for: .seconds(4))
                        #expect(try await client.describe(Self.collection).shards.count == 4)
                        try await writer.writeOnce(to: client)
                        before = try await Self.moment(client, writer)
                        try FileManager.default.moveItem(atPath: place + "-away", toPath: place)
                    }
                    try await eventually("all shards have been replaced", within: .seconds(60)) {
                        () async throws -> Void? in
                        let shards = try await client.describe(Self.collection).shards
                        let isOver = try await client.operations().allSatisfy(\.state.hasEnded)
                        return shards.count == shardCount && isOver ? () : nil
                    }
                    try await writer.writeOnce(to: client)
                    let after = try await Self.moment(client, writer)
                    // Without a gap.
                    try await Self.eventuallyArchived(stage, place, until: after.time)

                    let words = ["backup", "restore", place, "--from", Self.collection, "--undelete", "--copies", "1"]
                    let name = "before-\(change)"
                    let restored = try await cluster.mien(words + ["--collection", name, "--at", before.time])
                    #expect(restored.status == 0, "\(restored)")
                    try await Self.expect(name, toBe: before, client, writer)
                    let refused = try await cluster.mien(words + ["--collection", "never", "--at", after.time])
                    #expect(
                        refused.status == 1 && refused.error.contains("have taken the place of shard")
                            && refused.error.contains("can be restored are from"),
                        "\(refused)"
                    )
                }
                await client.close()
            }
        }

        private static func now() -> String {
            Date().formatted(Date.ISO8601FormatStyle(includingFractionalSeconds: true))
        }

        /// What the collection holds now, which is everything that was acknowledged, with time on both sides that no
        /// write falls into.
        private static func moment(_ client: MienClient, _ writer: HistoryWriter) async throws -> Moment {
            try await Task.sleep(for: .milliseconds(20))
            let time = now()
            let instant = ContinuousClock.now
            try await Task.sleep(for: .milliseconds(20))
            let faces = try await FaceWriter.storedFaces(client)
            var own = faces
            let fault = writer.fault(in: &own, between: instant...instant)
            #expect(fault == nil && own.isEmpty, "\(time): \(own.count) faces of nobody")
            return Moment(
                time: time,
                instant: instant,
                faces: faces.mapValues(Stored.init),
                answers: try await answers(collection, client, writer)
            )
        }

        private static func answers(
            _ collection: String,
            _ client: MienClient,
            _ writer: HistoryWriter
        ) async throws -> [[Answer]] {
            let results = try await client.search(
                collection,
                probes: Embeddings(
                    dimension: FaceWriter.dimension,
                    values: writer.ids.prefix(5).flatMap {
                        FaceLedger.embedding($0, version: 1, dimension: FaceWriter.dimension)
                    }
                ),
                model: FaceWriter.model,
                options: SearchOptions(matchLimit: 10, effort: .exact, coverage: .full)
            )
            return results.outcomes.map { outcome in
                guard case .matches(let matches) = outcome else { return [] }
                return matches.map { Answer(id: $0.id, similarity: $0.similarity) }
            }
        }

        private static func expect(
            _ collection: String,
            toBe moment: Moment,
            _ client: MienClient,
            _ writer: HistoryWriter
        ) async throws {
            let stored = try await FaceWriter.storedFaces(client, in: collection).mapValues(Stored.init)
            #expect(Set(stored.keys) == Set(moment.faces.keys), "\(collection), \(moment.time)")
            for (id, face) in moment.faces { #expect(stored[id] == face, "\(collection), \(moment.time)") }
            #expect(try await answers(collection, client, writer) == moment.answers, "\(collection), \(moment.time)")
        }

        private struct ArchiveDocument: Decodable {
            struct Shard: Decodable {
                var index: Int
                var sequence: UInt64
            }

            var collection: String
            var until: String?
            var gaps: Int
            var behind_seconds: Double?
            var shards: [Shard] = []
        }

        @discardableResult
        private static func eventuallyArchived(
            _ stage: Stage,
            _ place: String,
            until time: String
        ) async throws -> ArchiveDocument {
            let wanted = try date(time)
            return try await eventually("the log is archived until \(time)", within: .seconds(40)) {
                () async throws -> ArchiveDocument? in
                let listed = try await stage.mien("backup", "list", place, "--archive", "--json")
                // Also while it is being written.
                #expect(listed.status == 0, "\(listed)")
                // What was restored is archived as well.
                let archives = try listed.document([ArchiveDocument].self)
                guard let archive = archives.first(where: { $0.collection == Self.collection }),
                    let until = archive.until, (try? date(until)).map({ $0 >= wanted }) ?? false
                else { return nil }
                #expect(archive.gaps == 0)
                return archive
            }
        }

        private static func date(_ text: String) throws -> Date {
            try Date(text, strategy: Date.ISO8601FormatStyle(includingFractionalSeconds: text.contains(".")))
        }

        private static func newestSegment(_ place: String) throws -> String {
            let manager = FileManager.default
            var newest: (date: Date, path: String)?
            for folder in try manager.contentsOfDirectory(atPath: "\(place)/segments") {
                for name in try manager.contentsOfDirectory(atPath: "\(place)/segments/\(folder)") {
                    let path = "\(place)/segments/\(folder)/\(name)"
                    let date = try #require(try manager.attributesOfItem(atPath: path)[.modificationDate] as? Date)
                    if newest.map({ $0.date < date }) ?? true { newest = (date, path) }
                }
            }
            return try #require(newest).path
        }
    }
}
