import Foundation
import Glibc
import MienClient
import Testing

extension Integration {
    /// Faces are deleted and replaced. Within the period nothing of what they were is in any file of any worker, with
    /// writes going on and a worker killed before its time; what lives is there.
    @Suite struct ErasureTests {
        private static let period = 8

        /// Sixteen bytes in a row of stored embeddings.
        private struct Pieces {
            private struct Piece: Hashable {
                var first: UInt64
                var second: UInt64
            }

            private var pieces: Set<Piece> = []
            private var beginnings: Set<UInt64> = []

            mutating func add(_ face: Face) throws {
                let bytes = try #require(face.embedding).flatMap { value in
                    withUnsafeBytes(of: Float16(value).bitPattern) { Array($0) }
                }
                bytes.withUnsafeBytes { bytes in
                    for place in stride(from: 0, to: bytes.count, by: 16) {
                        let piece = Self.piece(in: bytes, at: place)
                        pieces.insert(piece)
                        beginnings.insert(piece.first)
                    }
                }
            }

            private static func piece(in bytes: UnsafeRawBufferPointer, at place: Int) -> Piece {
                Piece(
                    first: bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self),
                    second: bytes.loadUnaligned(fromByteOffset: place + 8, as: UInt64.self)
                )
            }

            /// How many of them are in a folder's files, each counted once a file.
            func count(in folder: String) throws -> Int {
                var count = 0
                for name in try FileManager.default.subpathsOfDirectory(atPath: folder) {
                    // Files come and go meanwhile.
                    guard let data = FileManager.default.contents(atPath: "\(folder)/\(name)"), data.count >= 16
                    else { continue }
                    var found: Set<Piece> = []
                    data.withUnsafeBytes { bytes in
                        for place in 0...bytes.count - 16 {
                            let beginning = bytes.loadUnaligned(fromByteOffset: place, as: UInt64.self)
                            guard beginnings.contains(beginning) else { continue }
                            let piece = Self.piece(in: bytes, at: place)
                            if pieces.contains(piece) { found.insert(piece) }
                        }
                    }
                    count += found.count
                }
                return count
            }
        }

        private static func faces(_ ids: [Face.ID], _ client: MienClient) async throws -> Pieces {
            var pieces = Pieces()
            let faces = try await client.faces(ids, in: FaceWriter.collection, includesEmbeddings: true)
            #expect(faces.count == ids.count)
            for face in faces { try pieces.add(face) }
            return pieces
        }

        @Test(.timeLimit(.minutes(3))) func whatWasDeletedIsInNoFileInTime() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(
                    stage,
                    workers: 2,
                    workerSettings: ["worker.erasure_period=\(Self.period)s"]
                )
                try await cluster.start()
                let client = try cluster.client(retrying: .seconds(20), timeout: .seconds(30))
                try await FaceWriter.createCollection(shards: 2, copies: 2, client)
                var random = SeededRandom(seed: 71)
                func enrol(_ ids: [Face.ID]) async throws {
                    let values = (0..<ids.count * FaceWriter.dimension).map { _ in
                        Float.random(in: -1...1, using: &random)
                    }
                    _ = try await client.enrol(
                        ids.map { NewFace(id: $0) },
                        embeddings: Embeddings(dimension: FaceWriter.dimension, values: values),
                        into: FaceWriter.collection,
                        model: FaceWriter.model
                    )
                }
                let ids = (0..<300).map { _ in Face.ID(high: random.next(), low: random.next()) }
                for id in ids[..<10] { try await enrol([id]) }
                try await enrol(Array(ids[10...]))
                let gone = try await Self.faces(Array(ids[4..<18]), client)
                _ = try await client.deleteFaces(Array(ids[4..<12]), from: FaceWriter.collection)
                try await enrol(Array(ids[12..<18]))
                let living = try await Self.faces(Array(ids[..<4] + ids[12..<24]), client)

                let folders = [1, 2].map { stage.path("worker-\($0)") }
                for folder in folders { #expect(try gone.count(in: folder) > 0) }
                // Nothing comes between those writes and the end of their process.
                cluster.workers[1].kill()
                let pause = FaceWriter.Pause()
                try await withThrowingTaskGroup(of: FaceWriter?.self) { group in
                    defer { pause.ask() }
                    try await cluster.start()
                    group.addTask { await FaceWriter(seed: 72).writing(to: client, until: pause) }
                    let start = ContinuousClock.now
                    for folder in folders {
                        try await eventually("nothing of what is gone is in \(folder)", within: .seconds(60)) {
                            try await Task.sleep(for: .milliseconds(300))
                            return try gone.count(in: folder) == 0 ? () : nil
                        }
                    }
                    print("erased: \(ContinuousClock.now - start) of a period of \(Self.period) s")
                    pause.ask()
                    for try await writer in group {
                        #expect(writer?.surprises == [])
                        #expect(try #require(writer).acknowledgedCount > 0)
                    }
                }
                for folder in folders {
                    #expect(try gone.count(in: folder) == 0)
                    // Sixteen faces of 64 components, in one shard of two each.
                    #expect(try living.count(in: folder) >= 16 * 8)
                }
                // What the writer deleted is next; then nothing is owed.
                try await eventually("nothing is to be erased", within: .seconds(60)) {
                    let metrics = try await ScrapedMetrics(of: cluster.workers)
                    return try #require(metrics["mien_erasure_age_seconds"]) == 0 ? () : nil
                }
                let verified = try await cluster.mien("verify", FaceWriter.collection)
                #expect(verified.status == 0, "\(verified)")
                await client.close()
            }
        }
    }
}
