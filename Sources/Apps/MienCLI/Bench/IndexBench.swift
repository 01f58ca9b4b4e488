import ClusterState
import EmbeddingFiles
import FaceModel
import Foundation
import Glibc
import InvertedFileIndex
import PartitionEngine
import SyntheticGallery
import Threads

/// One partition in this process, made from a generated gallery: the index without sockets.
final class IndexBench {
    /// What one pass over some probes took and found.
    struct Pass {
        /// CPU time of all threads of the process.
        var cpuTime = Duration.zero
        var wallTime = Duration.zero
        /// Per probe, rows of the gallery, best first.
        var rows: [[Int]] = []
        /// Per probe, the similarity of its best match.
        var bestSimilarities: [Float] = []
        var rowsVisited: UInt64 = 0
        var rowsReranked: UInt64 = 0
        /// Wall time of what one search does after the other, in nanoseconds.
        var stages = SearchStages()
    }

    static let dimension = 512
    private static let batchRows = 2000

    let partition: Partition
    /// Least similarity of a match in all searches.
    var threshold: Float?
    /// `[probeCount × dimension]`.
    let probes: [Float]
    private var rowOfFace: [FaceID: Int] = [:]
    /// Inverted lists of the codebook, if it was made now.
    private(set) var listCount = 0
    private let helpers: BoundedExecutor?

    var probeCount: Int { probes.count / Self.dimension }
    var faceCount: Int { rowOfFace.count }

    /// Opens the partition, or makes it from the gallery with a codebook of `listCount` lists (0 chooses); a search may
    /// use `threadCount` threads.
    init(
        gallery: String,
        partition directory: String,
        listCount: Int,
        threadCount: Int = 1,
        options: PartitionOptions = PartitionOptions(),
        metadata: (_ row: Int) -> FaceMetadata = { _ in FaceMetadata() },
        progress: (String) -> Void
    ) throws(CommandFailure) {
        helpers =
            threadCount > 1
            ? BoundedExecutor(name: "bench", threadCount: threadCount - 1, queueLimit: threadCount) : nil
        probes = try Self.readAll("\(gallery)/probes.npy")
        let ids = try Self.readIDs("\(gallery)/ids.txt")
        for (row, id) in ids.enumerated() { rowOfFace[id] = row }
        do {
            if FileManager.default.fileExists(atPath: "\(directory)/data.mdb") {
                partition = try Partition.open(at: directory, options: options)
                // As a worker keeps it that has nothing else to do.
                while try partition.maintain(now: Timestamp(milliseconds: 0), isIdle: true) != nil {}
                return
            }
        } catch {
            throw CommandFailure(.fileSystem, "the partition in \(directory) cannot be used: \(error)")
        }
        partition = try Self.newPartition(at: directory, options: options)
        let embeddings = "\(gallery)/embeddings.npy"
        var reader = try filing { () throws(EmbeddingFileError) in try EmbeddingFile.open(path: embeddings) }
        guard reader.dimension == Self.dimension else {
            throw CommandFailure(.badData, "\(embeddings) has dimension \(reader.dimension), not \(Self.dimension)")
        }
        try build(ids: ids, listCount: listCount, metadata: metadata, progress: progress) { _ in
            try reader.nextBatch(maximumRows: Self.batchRows)?.values
        }
    }

    /// Makes the partition from a gallery whose faces are made while they are enrolled.
    init(
        gallery: SyntheticGallery,
        probes: [Float],
        partition directory: String,
        listCount: Int,
        progress: (String) -> Void
    ) throws(CommandFailure) {
        self.probes = probes
        helpers = nil
        let ids = (0..<gallery.faceCount).map { gallery.faceID($0) }
        for (row, id) in ids.enumerated() { rowOfFace[id] = row }
        partition = try Self.newPartition(at: directory)
        try build(ids: ids, listCount: listCount, metadata: { _ in FaceMetadata() }, progress: progress) { range in
            range.isEmpty ? nil : gallery.faces(in: range)
        }
    }

    /// An empty partition of its own collection.
    static func newPartition(
        at directory: String,
        options: PartitionOptions = PartitionOptions()
    ) throws(CommandFailure) -> Partition {
        do {
            return try Partition.create(at: directory, identity: identity, options: options)
        } catch {
            throw CommandFailure(.fileSystem, "the partition in \(directory) cannot be used: \(error)")
        }
    }

    /// Ends the threads and closes the partition.
    func close() {
        helpers?.stop()
        partition.close()
    }

    private static var identity: PartitionIdentity {
        PartitionIdentity(
            collection: Collection(
                id: .random(),
                configuration: CollectionConfiguration(
                    name: "bench",
                    dimension: dimension,
                    embeddingModel: "synthetic",
                    shardCount: 1
                ),
                created: Timestamp(milliseconds: 0)
            ),
            shardIndex: 0,
            firstHash: 0,
            lastHash: .max
        )
    }

    /// Enrols all faces, trains a codebook and brings the index into shape.
    ///
    /// - Parameter nextValues: the embeddings of these faces, or of fewer from the first on; nil at the end.
    private func build(
        ids: [FaceID],
        listCount: Int,
        metadata: (_ row: Int) -> FaceMetadata,
        progress: (String) -> Void,
        nextValues: (Range<Int>) throws -> [Float]?
    ) throws(CommandFailure) {
        do {
            var clock = CPUClock()
            var first = 0
            while let values = try nextValues(first..<min(ids.count, first + Self.batchRows)) {
                let range = first..<min(ids.count, first + values.count / Self.dimension)
                if range.isEmpty { break }
                _ = try partition.write(
                    [
                        WriteBatch(
                            key: .random(),
                            operation: .enrol(
                                rows: range.map { EnrolRow(id: ids[$0], metadata: metadata($0)) },
                                embeddings: EmbeddingMatrix(
                                    dimension: Self.dimension,
                                    values: Array(values[..<(range.count * Self.dimension)])
                                )
                            )
                        )
                    ],
                    epoch: 1
                )
                first = range.upperBound
            }
            progress("enrolled \(ids.count) faces: \(clock.lap())")
            self.listCount = try Self.installCodebook(in: partition, listCount: listCount, progress: progress)
            clock = CPUClock()
            while try partition.maintain(now: Timestamp(milliseconds: 0), isIdle: true) != nil {}
            progress("folded and merged: \(clock.lap())")
        } catch {
            throw CommandFailure(.internalError, "the partition could not be made: \(error)")
        }
    }

    /// Trains a codebook on the partition's faces and installs it.
    ///
    /// - Parameter listCount: inverted lists; 0 for as many as a collection of this size gets.
    /// - Returns: how many it has.
    static func installCodebook(
        in partition: Partition,
        listCount: Int,
        progress: (String) -> Void
    ) throws -> Int {
        var clock = CPUClock()
        let size = TrainingSize(
            faceCount: try partition.statistics().faceCount,
            dimension: dimension,
            policy: TrainingPolicy(listCount: UInt32(listCount))
        )
        let codebook = try CodebookTrainer.train(
            sample: partition.sample(count: Int(size.sampleCount), seed: 1),
            generation: 1,
            listCount: Int(size.listCount),
            seed: 1,
            shouldStop: { false }
        )
        progress("trained \(codebook.listCount) lists: \(clock.lap())")
        progress("  planes: \(codebook.plan.planes.map { "\($0)" }.joined(separator: ", "))")
        for (part, line) in [("heads", codebook.scanCalibration.head), ("whole", codebook.scanCalibration.whole)] {
            progress("  \(part): slope \(line.slope), deviation \(line.deviation), intercept \(line.intercept)")
        }
        try partition.install(codebook: codebook.encoded())
        return codebook.listCount
    }

    private var team: SearchTeam {
        guard let helpers else { return .none }
        return SearchTeam(memberLimit: helpers.threadCount + 1) { helpers.runIfIdle($0) }
    }

    /// Searches probes `range`, `batch` at a time.
    func search(
        _ range: Range<Int>,
        effort: SearchEffort,
        filter: FaceFilter? = nil,
        matchLimit: Int,
        batch: Int
    ) throws(CommandFailure) -> Pass {
        var pass = Pass()
        for first in stride(from: range.lowerBound, to: range.upperBound, by: batch) {
            let rows = first..<first + min(batch, range.upperBound - first)
            let search = PartitionSearch(
                parameters: SearchParameters(
                    matchLimit: matchLimit,
                    threshold: threshold,
                    effort: effort,
                    filter: filter
                ),
                excludedFace: nil,
                probes: EmbeddingMatrix(
                    dimension: Self.dimension,
                    values: Array(probes[rows.lowerBound * Self.dimension..<rows.upperBound * Self.dimension])
                ),
                now: Timestamp(milliseconds: 0)
            )
            var clock = CPUClock()
            let answer: PartitionSearchAnswer
            do {
                answer = try partition.search(search, team: team, shouldStop: { false })
            } catch {
                throw CommandFailure(.internalError, "a search failed: \(error)")
            }
            let times = clock.lap()
            pass.cpuTime += times.cpu
            pass.wallTime += times.wall
            pass.rowsVisited += answer.rowsVisited
            pass.rowsReranked += answer.rowsReranked
            pass.stages = pass.stages + answer.stages
            for matches in answer.matches {
                pass.rows.append(matches.map { rowOfFace[$0.faceID] ?? -1 })
                pass.bestSimilarities.append(matches.first?.similarity ?? -1)
            }
        }
        return pass
    }

    private static func readAll(_ path: String) throws(CommandFailure) -> [Float] {
        var values: [Float] = []
        var reader = try filing { () throws(EmbeddingFileError) in try EmbeddingFile.open(path: path) }
        guard reader.dimension == dimension else {
            throw CommandFailure(.badData, "\(path) has dimension \(reader.dimension), not \(dimension)")
        }
        while let batch = try filing({ () throws(EmbeddingFileError) in try reader.nextBatch(maximumRows: 1000) }) {
            values.append(contentsOf: batch.values)
        }
        return values
    }

    private static func readIDs(_ path: String) throws(CommandFailure) -> [FaceID] {
        guard let text = try? String(contentsOfFile: path, encoding: .utf8) else {
            throw CommandFailure(.fileSystem, "\(path) cannot be read; make the gallery with 'mien generate'")
        }
        var ids: [FaceID] = []
        for line in text.split(separator: "\n") {
            guard let id = FaceID(line) else {
                throw CommandFailure(.badData, "\(path) line \(ids.count + 1) is no face id")
            }
            ids.append(id)
        }
        return ids
    }
}
