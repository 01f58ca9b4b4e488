import Foundation
import MienClient
import Testing

extension Integration {
    /// The power fails at any moment for a coordinator with its own store and for its two workers, in one instant:
    /// whatever became of names in their folders, and of whatever else was not synced, what was acknowledged is there.
    @Suite struct FolderPowerCutTests {
        /// `MIEN_FOLDER_POWER_CUTS` makes it a long run.
        private static let stateCount = StoryLength.named("MIEN_FOLDER_POWER_CUTS", or: 10)
        private static let people = FaceWriter.collection
        private static let others = "others"
        /// From so many faces on there is a codebook.
        private static let trainingCount = 1024
        private static let batchCount = 90

        /// What is certain of the cluster.
        private struct Knowledge {
            /// Of each collection its faces, with the version of each.
            var collections: [String: [Face.ID: Int]] = [:]
            var hasCodebook = false
            /// The cluster's and the workers' names, once they have been told.
            var identity: [String]?
        }

        /// What was acknowledged, and the length of the record at that moment.
        private struct Mark {
            var knowledge: Knowledge
            var recorded: Int
        }

        @Test(.timeLimit(.minutes(stateCount > 30 ? 180 : 5)))
        func whatWasAcknowledgedIsThereWhateverBecameOfNames() async throws {
            try await Stage.play { stage in
                var random = SeededRandom(seed: SeededRandom.storySeed("power cut of folders"))
                let disks = stage.path("disks")
                try FileManager.default.createDirectory(atPath: disks, withIntermediateDirectories: false)
                let recordPath = stage.path("record")
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    coordinatorSettings: [
                        "coordinator.training.min_faces=\(Self.trainingCount)", "coordinator.spare_disk=16MiB",
                    ],
                    workerSettings: ["worker.background_percent=100"],
                    folders: "disks/"
                )
                let client = try cluster.client(retrying: .seconds(10), timeout: .seconds(10))
                var chronicle = Chronicle(client, recordPath)
                let variables = try StorageFaults.environment(record: recordPath, root: disks)
                try await live(cluster, &chronicle, variables, recordPath, &random)
                for node in cluster.workers + [cluster.coordinator] { #expect(try await node.stop() == 0) }

                let record = try FolderRecord(StorageRecord(path: recordPath), of: disks)
                let differences = record.whole.differences(from: try FolderContent(of: disks))
                // The table of readers is written through its mapping; nobody needs it after a power cut.
                let unseen = differences.filter { !$0.hasSuffix("/lock.mdb") }
                #expect(unseen.isEmpty, "the record does not tell how these came about: \(unseen.prefix(5))")

                let marks = chronicle.marks
                let end = record.record.events.count
                var (lost, refusals) = (0, 0)
                for state in 1...Self.stateCount {
                    let cut = record.cut(state, random: &random)
                    try record.content(cutAt: cut.event, names: cut.names, random: &random).replace(in: disks)
                    do {
                        let faults = try await faults(cluster, client, marks, recordedBefore: cut.recorded, disks)
                        #expect(faults.isEmpty, "\(cut.remark): \(faults.prefix(3))")
                        lost += faults.count
                    } catch {
                        // A folder that was being made may be refused: nothing is in it yet.
                        if marks[0].recorded <= cut.recorded { Issue.record("\(cut.remark): \(error)") }
                        refusals += 1
                    }
                    Self.kill(cluster)
                }
                let isSeen = try await lyingDisksAreSeen(record, marks, cluster, disks, &random)
                #expect(isSeen, "a story that sees nothing when folders are not synced proves nothing")
                print(
                    "power cut of folders: \(Self.stateCount) states of \(end) calls, \(record.nameEvents.count) of "
                        + "them of names, \(marks.count) things acknowledged; \(lost) faults, \(refusals) refused "
                        + "with nothing in them"
                )
                await client.close()
            }
        }

        private static func kill(_ cluster: Cluster) {
            ChildProcess.kill((cluster.workers + [cluster.coordinator]).compactMap(\.process))
        }

        // MARK: What happens

        /// Does one thing after the other, and notes each when it is acknowledged.
        private struct Chronicle {
            private(set) var marks: [Mark] = []
            private(set) var now = Knowledge()
            private let client: MienClient
            private let recordPath: String
            private var version = 0

            init(_ client: MienClient, _ recordPath: String) {
                self.client = client
                self.recordPath = recordPath
            }

            mutating func note(_ change: (inout Knowledge) -> Void) throws {
                change(&now)
                let size = try StorageRecord.byteCount(at: recordPath)
                marks.append(Mark(knowledge: now, recorded: size))
            }

            mutating func create(_ collection: String) async throws {
                try await FaceWriter.createCollection(collection, shards: 1, client)
                try note { $0.collections[collection] = [:] }
            }

            mutating func delete(_ collection: String) async throws {
                _ = try await client.deleteCollection(collection)
                try note { $0.collections[collection] = nil }
            }

            mutating func enrol(_ count: Int, into collection: String, _ random: inout SeededRandom) async throws {
                version += 1
                let number = version
                let faces = (0..<count).map { _ in Face.ID(high: random.next(), low: random.next()) }
                let values = faces.flatMap {
                    FaceLedger.embedding($0, version: number, dimension: FaceWriter.dimension)
                }
                _ = try await client.enrol(
                    faces.map { NewFace(id: $0, metadata: Face.Metadata(externalImageID: "version-\(number)")) },
                    embeddings: Embeddings(dimension: FaceWriter.dimension, values: values),
                    into: collection,
                    model: FaceWriter.model
                )
                try note { for face in faces { $0.collections[collection]?[face] = number } }
            }

            mutating func deleteSome(from collection: String, _ random: inout SeededRandom) async throws {
                let known = (now.collections[collection] ?? [:]).keys.sorted()
                let faces = Array(Set((0..<8).compactMap { _ in known.randomElement(using: &random) }))
                _ = try await client.deleteFaces(faces, from: collection)
                try note { for face in faces { $0.collections[collection]?[face] = nil } }
            }
        }

        /// Collections come and go, a codebook comes, a shard is moved, divided and put together again; in between the
        /// nodes are killed, and go on with what they find.
        private func live(
            _ cluster: Cluster,
            _ chronicle: inout Chronicle,
            _ variables: [String: String],
            _ recordPath: String,
            _ random: inout SeededRandom
        ) async throws {
            let client = try cluster.client(retrying: .seconds(10))
            try await start(cluster, adding: variables)
            let identity = try await Self.identity(client)
            try chronicle.note { $0.identity = identity }
            try await chronicle.create(Self.people)
            try await chronicle.create(Self.others)
            try await chronicle.enrol(20, into: Self.others, &random)
            for _ in 0..<Self.trainingCount / Self.batchCount + 2 {
                try await chronicle.enrol(Self.batchCount, into: Self.people, &random)
            }
            try await chronicle.delete(Self.others)
            try await eventually("a codebook is there", within: .seconds(40)) {
                let description = try await client.describe(Self.people)
                return description.training == .trained && description.codebook != nil ? () : nil
            }
            try chronicle.note { $0.hasCodebook = true }
            try await move(cluster, client)
            try await write(&chronicle, &random)
            try await reshard("split", cluster)
            try await write(&chronicle, &random)

            try StorageRecord.betweenCalls(at: recordPath) { Self.kill(cluster) }
            try await start(cluster, adding: variables)
            try await write(&chronicle, &random)
            try await chronicle.create(Self.others)
            try await chronicle.enrol(20, into: Self.others, &random)
            try await reshard("merge", cluster)
            try await write(&chronicle, &random)
            await client.close()
        }

        private func start(_ cluster: Cluster, adding variables: [String: String]) async throws {
            for node in [cluster.coordinator] + cluster.workers { try await node.start(adding: variables) }
            try await cluster.start()
        }

        private func write(_ chronicle: inout Chronicle, _ random: inout SeededRandom) async throws {
            for _ in 0..<3 {
                try await chronicle.enrol(30, into: Self.people, &random)
                try await chronicle.deleteSome(from: Self.people, &random)
            }
        }

        private func move(_ cluster: Cluster, _ client: MienClient) async throws {
            let shard = try await client.describe(Self.people).shards[0]
            let workers = try await client.status().workers
            let from = try #require(workers.first { $0.id == shard.workerID }).address
            let to = try #require(workers.first { $0.id != shard.workerID }).address
            let words = ["shard", "move", Self.people, "\(shard.index)", "--from", from, "--to", to, "--wait"]
            let result = try await cluster.mien(words)
            #expect(result.status == 0, "\(words): \(result)")
        }

        private func reshard(_ verb: String, _ cluster: Cluster) async throws {
            let result = try await cluster.mien("shard", verb, Self.people, "--all", "--wait")
            #expect(result.status == 0, "shard \(verb): \(result)")
        }

        private static func identity(_ client: MienClient) async throws -> [String] {
            let status = try await client.status()
            return [status.id] + status.workers.map(\.id).sorted()
        }

        // MARK: What is left

        /// What is not as it must be after a power cut: as after all that was acknowledged, or as in the midst of what
        /// came next.
        private func faults(
            _ cluster: Cluster,
            _ client: MienClient,
            _ marks: [Mark],
            recordedBefore length: Int,
            _ disks: String
        ) async throws -> [String] {
            let next = marks.firstIndex { $0.recorded > length } ?? marks.count
            let before = next == 0 ? Knowledge() : marks[next - 1].knowledge
            let after = next < marks.count ? marks[next].knowledge : before
            var faults: [String] = []
            if before.hasCodebook {
                let folder = disks + "/coordinator/codebooks"
                let files = try? FileManager.default.contentsOfDirectory(atPath: folder)
                if files?.contains(where: { $0.hasSuffix(".codebook") }) != true { faults.append("no codebook's file") }
            }
            try await cluster.start()
            if let identity = before.identity, try await Self.identity(client) != identity {
                faults.append("the cluster or a worker is another")
            }
            let listed = Set(try await client.collections().map(\.options.name))
            for name in [Self.people, Self.others] {
                let (old, new) = (before.collections[name], after.collections[name])
                guard listed.contains(name) else {
                    if old != nil, new != nil { faults.append("the collection \(name) is lost") }
                    continue
                }
                guard old != nil || new != nil else {
                    faults.append("the collection \(name) is there, and should not be")
                    continue
                }
                let stored = try await FaceWriter.storedFaces(client, in: name)
                faults += Self.faults(stored, old ?? [:], new ?? [:]).map { "\(name): \($0)" }
            }
            if before.hasCodebook, try await client.describe(Self.people).codebook == nil {
                faults.append("the codebook is lost")
            }
            let people = before.collections[Self.people] ?? [:]
            if let face = people.keys.sorted().first, after.collections[Self.people]?[face] == people[face] {
                faults += try await Self.searchFaults(client, face, version: people[face] ?? 0)
            }
            return faults
        }

        /// A batch may have reached one shard and not the other.
        private static func faults(
            _ stored: [Face.ID: Face],
            _ old: [Face.ID: Int],
            _ new: [Face.ID: Int]
        ) -> [String] {
            var faults: [String] = []
            for id in Set(stored.keys).union(old.keys).union(new.keys) {
                let name = stored[id]?.metadata.externalImageID ?? ""
                let version: Int? = stored[id] == nil ? nil : Int(name.dropFirst("version-".count)) ?? -1
                guard version == old[id] || version == new[id] else {
                    let states = [version, old[id], new[id]].map { $0.map { "version \($0)" } ?? "absent" }
                    faults.append("the face \(id) is \(states[0]), not \(states[1]) or \(states[2])")
                    continue
                }
                guard let version, let embedding = stored[id]?.embedding else { continue }
                let wanted = FaceLedger.embedding(id, version: version, dimension: FaceWriter.dimension)
                let difference = zip(wanted, embedding).map { abs($0 - $1) }.max() ?? 1
                if embedding.count != wanted.count || difference > 6e-4 {
                    faults.append("the face \(id) has another embedding")
                }
            }
            return faults
        }

        private static func searchFaults(
            _ client: MienClient,
            _ face: Face.ID,
            version: Int
        ) async throws -> [String] {
            let results = try await client.search(
                people,
                probes: Embeddings(
                    dimension: FaceWriter.dimension,
                    values: FaceLedger.embedding(face, version: version, dimension: FaceWriter.dimension)
                ),
                model: FaceWriter.model,
                options: SearchOptions(matchLimit: 1, coverage: .full)
            )
            guard case .matches(let matches)? = results.outcomes.first, results.coverage.isFull else {
                return ["a search is not answered in full: \(results.coverage)"]
            }
            return matches.first?.id == face ? [] : ["a search does not find the face \(face)"]
        }

        /// The story must be able to fail: a disk that says that it has synced folders, and has not, loses what is new
        /// in them.
        private func lyingDisksAreSeen(
            _ record: FolderRecord,
            _ marks: [Mark],
            _ cluster: Cluster,
            _ disks: String,
            _ random: inout SeededRandom
        ) async throws -> Bool {
            let hasty = try cluster.client(timeout: .seconds(2))
            let events = record.record.events
            let lie = record.record.firstEvent(after: marks[0].recorded)
            try record.content(cutAt: events.count, names: .synced, firstLie: lie, random: &random).replace(in: disks)
            let faults = try? await faults(cluster, hasty, marks, recordedBefore: events[events.count - 1].end, disks)
            Self.kill(cluster)
            await hasty.close()
            return faults?.isEmpty != true
        }
    }
}
