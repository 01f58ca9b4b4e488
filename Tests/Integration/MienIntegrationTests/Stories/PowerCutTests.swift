import Foundation
import MienClient
import Testing

extension Integration {
    /// The power fails at any moment: what was acknowledged before is there, whatever became of unsynced writes.
    @Suite struct PowerCutTests {
        private static let writeCount = 60
        /// Free pages are overwritten once something has been dead for a third of it. A worker with little to do looks
        /// whether that is so every 5 s.
        private static let erasurePeriod = 1
        private static let timeBetweenWrites = Duration.milliseconds(70)

        /// One acknowledged write and the length of the record at that moment.
        private struct Mark {
            var faces: [Face.ID]
            var content: FaceLedger.Content
            var recorded: Int
        }

        @Test(.timeLimit(.minutes(15))) func acknowledgedWritesSurviveAPowerCutAtAnyMoment() async throws {
            let stateCount = StoryLength.named("MIEN_POWER_CUTS", or: 30)
            try await Stage.play { stage in
                let seed = SeededRandom.storySeed("power cut")
                var random = SeededRandom(seed: seed)
                let cluster = try Cluster(
                    stage,
                    workers: 1,
                    workerSettings: ["worker.erasure_period=\(Self.erasurePeriod)s"]
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(2), timeout: .seconds(5))
                try await FaceWriter.createCollection(shards: 1, client)
                _ = try await cluster.workers[0].stop()
                let file = try partitionFile(stage)
                let base = try Data(contentsOf: file)

                let recordPath = stage.path("record")
                try await cluster.workers[0].start(adding: StorageFaults.environment(record: recordPath))
                let marks = try await write(client, recordPath, random: &random)
                cluster.workers[0].kill()

                let record = try StorageRecord(path: recordPath)
                #expect(record.events.count > 3 * Self.writeCount, "the file was hardly written")
                let erasures = record.erasures
                #expect(!erasures.isEmpty, "nothing was erased")
                var lost = 0
                for state in 1...stateCount {
                    var cut = Int.random(in: 0...record.events.count, using: &random)
                    if state % 3 == 0, let erasure = erasures.randomElement(using: &random) {
                        // Right behind it, while it is not synced, or behind the sync.
                        cut = min(erasure + Int.random(in: 1...3, using: &random), record.events.count)
                    }
                    let length = cut == 0 ? 0 : record.events[cut - 1].end
                    try restore(record.file(after: base, cutAt: cut, random: &random), to: file)
                    try await cluster.start()
                    let faults = check(try await FaceWriter.storedFaces(client), marks, recordedBefore: length)
                    #expect(faults.isEmpty, "cut \(state) at \(cut) of \(record.events.count): \(faults.prefix(3))")
                    lost += faults.count
                    cluster.workers[0].kill()
                }
                // The story must be able to fail: a disk that says that it has synced, and has kept nothing, loses
                // writes, and that is seen by what is listed.
                try restore(base, to: file)
                try await cluster.start()
                let stored = try await eventually("what a lying disk has kept is listed", within: .seconds(30)) {
                    try await FaceWriter.storedFaces(client)
                }
                let faults = check(stored, marks, recordedBefore: record.events.last?.end ?? 0)
                #expect(!faults.isEmpty, "a story that sees nothing when a disk lies proves nothing")
                cluster.workers[0].kill()
                print(
                    "power cut: \(stateCount) states of \(record.events.count) calls, \(erasures.count) of them over "
                        + "free pages, \(marks.count) writes; \(lost) faults"
                )
                await client.close()
            }
        }

        private func restore(_ bytes: Data, to file: URL) throws {
            try bytes.write(to: file)
            try? FileManager.default.removeItem(at: file.deletingLastPathComponent().appending(path: "lock.mdb"))
        }

        private func partitionFile(_ stage: Stage) throws -> URL {
            let folder = URL(filePath: stage.path("worker-1"))
            let names = FileManager.default.enumerator(at: folder, includingPropertiesForKeys: nil)
            while let url = names?.nextObject() as? URL {
                if url.path.hasSuffix("/partition/data.mdb") { return url }
            }
            throw StoryError("the worker has no partition")
        }

        /// Writes one batch after the other; each is acknowledged before the next begins. Goes on until free pages have
        /// been overwritten, and for some writes more.
        private func write(
            _ client: MienClient,
            _ recordPath: String,
            random: inout SeededRandom
        ) async throws -> [Mark] {
            var marks: [Mark] = []
            var last: Int?
            for number in 1... {
                var faces: [Face.ID] = []
                let content: FaceLedger.Content
                if number % 4 == 0, let old = marks.randomElement(using: &random) {
                    (faces, content) = (old.faces, .absent)
                    _ = try await client.deleteFaces(faces, from: FaceWriter.collection)
                } else {
                    // Every third batch replaces faces that were there before.
                    let old = number % 3 == 0 ? marks.randomElement(using: &random)?.faces : nil
                    faces =
                        old
                        ?? (0..<Int.random(in: 1...40, using: &random)).map { _ in
                            Face.ID(high: random.next(), low: random.next())
                        }
                    content = .version(number)
                    let values = faces.flatMap {
                        FaceLedger.embedding($0, version: number, dimension: FaceWriter.dimension)
                    }
                    _ = try await client.enrol(
                        faces.map { NewFace(id: $0, metadata: Face.Metadata(externalImageID: "version-\(number)")) },
                        embeddings: Embeddings(dimension: FaceWriter.dimension, values: values),
                        into: FaceWriter.collection,
                        model: FaceWriter.model
                    )
                }
                let size = try StorageRecord.byteCount(at: recordPath)
                marks.append(Mark(faces: faces, content: content, recorded: size))
                if number == last { break }
                if last == nil, number >= Self.writeCount, number % 4 == 0 {
                    let hasErased = try !StorageRecord(path: recordPath).erasures.isEmpty
                    if hasErased || number > 10 * Self.writeCount { last = number + Self.writeCount / 4 }
                }
                try await Task.sleep(for: Self.timeBetweenWrites)
            }
            return marks
        }

        /// The state must be that after all writes that were acknowledged before the cut, or after one more.
        private func check(_ stored: [Face.ID: Face], _ marks: [Mark], recordedBefore length: Int) -> [String] {
            let certain = marks.count { $0.recorded <= length }
            var states: [[Face.ID: Int]] = [[:]]
            for mark in marks {
                var next = states[states.count - 1]
                for face in mark.faces {
                    if case .version(let version) = mark.content { next[face] = version } else { next[face] = nil }
                }
                states.append(next)
            }
            var found: [Face.ID: Int] = [:]
            for (id, face) in stored {
                let name = face.metadata.externalImageID ?? ""
                guard let version = Int(name.dropFirst("version-".count)) else { return ["a face has lost its name"] }
                found[id] = version
                let wanted = FaceLedger.embedding(id, version: version, dimension: FaceWriter.dimension)
                let difference = zip(wanted, face.embedding ?? []).map { abs($0 - $1) }.max() ?? 1
                if face.embedding?.count != wanted.count || difference > 6e-4 { return ["another embedding"] }
            }
            // Writes came one by one: at most the one under way may be there besides.
            guard let state = states[certain...].prefix(2).firstIndex(of: found) else {
                return ["\(found.count) faces are not those after \(certain) writes, or after one more"]
            }
            return state >= certain ? [] : ["too old"]
        }
    }
}
