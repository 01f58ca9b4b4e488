import FaceModel
import Foundation
import PartitionEngine
import SyntheticGallery
import VectorMath

/// Grows a partition, then replaces, deletes and enrols faces until several times the collection has changed, while a
/// thread searches it: what is written, what the file grows by, how long commits and searches take.
struct ChurnExperiment {
    /// What is done between two searches: a commit of changes, or one step of maintenance.
    enum Work: Hashable {
        case changes
        case maintenance(MaintenanceStep)

        static let all: [Work] = [.changes] + MaintenanceStep.allCases.map(Work.maintenance)

        var name: String {
            switch self {
            case .changes: "commits"
            case .maintenance(.fold): "folds"
            case .maintenance(.merge): "merges"
            case .maintenance(.evacuation): "moves"
            case .maintenance(.scrub): "overwriting"
            case .maintenance(.expiry): "expiry"
            case .maintenance(.erasure): "forgetting erasures"
            case .maintenance(.upgrade): "upgrade"
            case .maintenance(.settling): "settling"
            }
        }
    }

    /// What one kind of work took.
    struct Share {
        var spans: [TimedSpan] = []
        /// Bytes given to the system.
        var writtenByteCount: UInt64 = 0

        /// Whether any of it was under way during a span.
        func overlaps(_ other: TimedSpan) -> Bool {
            // The first that ends after the other begins: spans are in order and apart.
            var (low, high) = (0, spans.count)
            while low < high {
                let middle = (low + high) / 2
                if spans[middle].end > other.start { high = middle } else { low = middle + 1 }
            }
            return low < spans.count && spans[low].start < other.end
        }
    }

    /// What happened between two moments.
    struct Stage {
        var name: String
        /// Faces enrolled, replaced and deleted.
        var changeCount = 0
        var wallTime = Duration.zero
        var output = ProcessOutput(written: 0, toDisk: 0)
        /// Bytes of the embeddings and ids that were written.
        var logicalByteCount = 0
        /// By kind; steps of maintenance are a commit each.
        var work: [Work: Share] = [:]
        var searches: [TimedSpan] = []
        var faceCount = 0
        var runCount = 0
        var file = PartitionFileUse(usedByteCount: 0, freeByteCount: 0)
        var tombstoneCount = 0
        /// Reading the list of free pages, as a commit that needs pages does.
        var freeListTime = Duration.zero

        /// Bytes written for each byte of embeddings and ids.
        var amplification: Double { Double(output.written) / Double(max(1, logicalByteCount)) }
        /// Bytes of pages in use for each face.
        var bytesPerFace: Double {
            Double(file.liveByteCount) / Double(max(1, faceCount))
        }
    }

    let model: GalleryModel
    let faceCount: Int
    /// Changes, in collections.
    let turnover: Double
    /// Changes of one commit.
    let batchCount: Int
    let seed: UInt64
    let effort: SearchEffort
    let parent: String?

    /// Of the changes, the share that replaces a face, and that deletes one; the rest enrols, as many as are deleted.
    static let replacedShare = 0.6
    static let deletedShare = 0.2
    /// Stages of growth, and of churn for each collection.
    private static let stagesPerCollection = 2
    /// Faces that train the codebook, at most half of them.
    private static let trainingCount = 65_536
    private static let storedComponentByteCount = 2
    private static let idByteCount = 16
    /// Rows after which a write lane looks for something to fold or merge.
    private static let rowsPerMaintenance = 2048
    private static let probeCount = 64

    private struct Writer {
        let partition: Partition
        let gallery: SyntheticGallery
        var generator: SplitMix64
        /// Ids of the faces, numbers of the images they were enrolled with.
        var live: [Int] = []
        var nextImage = 0
        var rowsSinceMaintenance = 0
    }

    func run(progress: (String) -> Void) throws(CommandFailure) -> [Stage] {
        let changeCount = Int(turnover * Double(faceCount))
        let gallery = try model.gallery(faceCount: faceCount + changeCount, seed: seed)
        let folder = try ExperimentFolder(in: parent)
        let partition = try IndexBench.newPartition(at: folder.path + "/partition")
        defer { partition.close() }
        let probes = EmbeddingMatrix(
            dimension: MeasuredGallery.dimension,
            values: gallery.probes(in: 0..<Self.probeCount)
        )
        let searcher = ChurnSearcher(partition: partition, probes: probes, effort: effort)
        defer { searcher.stop() }
        do {
            return try stages(
                Writer(partition: partition, gallery: gallery, generator: SplitMix64(seed: seed)),
                searcher,
                changeCount: changeCount,
                progress: progress
            )
        } catch let error as CommandFailure {
            throw error
        } catch {
            throw CommandFailure(.internalError, "the partition failed: \(error)")
        }
    }

    private func stages(
        _ writer: consuming Writer,
        _ searcher: ChurnSearcher,
        changeCount: Int,
        progress: (String) -> Void
    ) throws -> [Stage] {
        var writer = writer
        var stages: [Stage] = []
        func stage(_ name: String, count: Int, _ write: (inout Writer, Int, inout Stage) throws -> Void) throws {
            _ = try searcher.takeSearches()
            var stage = Stage(name: name)
            let (output, start) = (try ProcessOutput.soFar(), ContinuousClock.now)
            while stage.changeCount < count {
                try write(&writer, min(batchCount, count - stage.changeCount), &stage)
                try maintain(&writer, &stage, untilIdle: false)
            }
            try maintain(&writer, &stage, untilIdle: true)
            stage.wallTime = .now - start
            stage.output = try ProcessOutput.soFar() - output
            stage.searches = try searcher.takeSearches()
            let statistics = try writer.partition.statistics()
            (stage.faceCount, stage.runCount) = (Int(statistics.faceCount), statistics.runCount)
            stage.tombstoneCount = Int(statistics.tombstoneCount)
            let read = ContinuousClock.now
            stage.file = try writer.partition.fileUse()
            stage.freeListTime = .now - read
            stages.append(stage)
            progress("\(name): \(NumberText.duration(stage.wallTime))")
        }
        let trained = min(Self.trainingCount, faceCount / 2)
        try stage("growth to \(trained)", count: trained, enrol)
        _ = try IndexBench.installCodebook(in: writer.partition, listCount: 0, progress: progress)
        try stage("growth to \(faceCount)", count: faceCount - trained, enrol)
        try stage("searches alone", count: 0) { _, _, _ in }
        Thread.sleep(forTimeInterval: 1)
        stages[stages.count - 1].searches = try searcher.takeSearches()
        var done = 0
        var number = 0
        while done < changeCount {
            number += 1
            let end = min(changeCount, number * faceCount / Self.stagesPerCollection)
            let turnover = NumberText.fixed(Double(end) / Double(faceCount), 1)
            try stage("churn to \(turnover)", count: end - done, change)
            done = end
        }
        return stages
    }

    private func enrol(_ writer: inout Writer, _ count: Int, _ stage: inout Stage) throws {
        let images = writer.nextImage..<writer.nextImage + count
        writer.live.append(contentsOf: images)
        writer.nextImage = images.upperBound
        try commit(&writer, enrolled: Array(images), images: images, deleted: [], &stage)
    }

    /// One batch of replaced, deleted and enrolled faces.
    private func change(_ writer: inout Writer, _ count: Int, _ stage: inout Stage) throws {
        let deletedCount = min(Int(Self.deletedShare * Double(count)), writer.live.count / 4)
        let replacedCount = min(Int(Self.replacedShare * Double(count)), writer.live.count / 4)
        // The deleted and the replaced come to the front: none of them twice.
        for place in 0..<deletedCount + replacedCount {
            writer.live.swapAt(place, Int.random(in: place..<writer.live.count, using: &writer.generator))
        }
        let deleted = Array(writer.live[..<deletedCount])
        let replaced = Array(writer.live[deletedCount..<deletedCount + replacedCount])
        writer.live.removeFirst(deletedCount)
        let images = writer.nextImage..<writer.nextImage + count - deletedCount
        writer.nextImage = images.upperBound
        let new = Array(images.suffix(images.count - replacedCount))
        writer.live.append(contentsOf: new)
        try commit(&writer, enrolled: replaced + new, images: images, deleted: deleted, &stage)
    }

    /// - Parameter enrolled: ids, by number, of the faces that get these images.
    private func commit(
        _ writer: inout Writer,
        enrolled: [Int],
        images: Range<Int>,
        deleted: [Int],
        _ stage: inout Stage
    ) throws {
        let gallery = writer.gallery
        var batches: [WriteBatch] = []
        if !deleted.isEmpty {
            batches.append(WriteBatch(key: .random(), operation: .delete(deleted.map { gallery.faceID($0) })))
        }
        if !enrolled.isEmpty {
            batches.append(
                WriteBatch(
                    key: .random(),
                    operation: .enrol(
                        rows: enrolled.map { EnrolRow(id: gallery.faceID($0), metadata: FaceMetadata()) },
                        embeddings: EmbeddingMatrix(
                            dimension: MeasuredGallery.dimension,
                            values: gallery.faces(in: images)
                        )
                    )
                )
            )
        }
        try Self.measure(&stage) {
            _ = try writer.partition.write(batches, epoch: 1)
            return .changes
        }
        let count = enrolled.count + deleted.count
        stage.changeCount += count
        writer.rowsSinceMaintenance += count
        stage.logicalByteCount += enrolled.count * MeasuredGallery.dimension * Self.storedComponentByteCount
        stage.logicalByteCount += count * Self.idByteCount
    }

    /// Folds and merges as a write lane does: every few thousand rows, until nothing is left to do.
    private func maintain(_ writer: inout Writer, _ stage: inout Stage, untilIdle: Bool) throws {
        guard untilIdle || writer.rowsSinceMaintenance >= Self.rowsPerMaintenance else { return }
        writer.rowsSinceMaintenance = 0
        var hasMore = true
        while hasMore {
            hasMore = try Self.measure(&stage) {
                try writer.partition.maintain(now: Timestamp(milliseconds: 0), isIdle: untilIdle).map(Work.maintenance)
            }
        }
    }

    /// Counts what a body does by the kind of work that it was; false when there was none.
    @discardableResult
    private static func measure(_ stage: inout Stage, _ body: () throws -> Work?) throws -> Bool {
        let (output, start) = (try ProcessOutput.soFar(), ContinuousClock.now)
        guard let work = try body() else { return false }
        stage.work[work, default: Share()].spans.append(TimedSpan(start: start, duration: .now - start))
        stage.work[work, default: Share()].writtenByteCount += (try ProcessOutput.soFar() - output).written
        return true
    }
}
