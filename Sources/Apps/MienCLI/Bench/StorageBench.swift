import FaceModel
import Foundation
import InvertedFileIndex
import LMDB
import PartitionEngine
import SyntheticGallery
import VectorMath

/// What LMDB and the partition's maintenance cost: values read in order and at random, commits, folds, and emptying of
/// chunks after deletions.
struct StorageBench {
    struct Result {
        var name: String
        /// How much of what was done.
        var amount: String
        /// Median or total, as the name says.
        var time: Duration
        /// What the time means for one of the amount.
        var rate: String
    }

    /// Faces of the partition.
    let faceCount: Int
    /// A folder of its own, removed by the caller.
    let folder: String
    let passCount: Int

    private static let dimension = 512
    /// Of the values: 16 pages of LMDB without the header of the first, as chunks have it.
    private static let valueByteCount = 16 * 4096 - 16
    private static let valueCount = 2048
    private static let batchRowCount = 1000
    private static let trainingCount = 65_536

    func run(progress: (String) -> Void) throws -> [Result] {
        progress("values in LMDB")
        var results = try values()
        progress("\(faceCount) faces in a partition")
        results += try partition()
        return results
    }

    // MARK: LMDB

    private func values() throws -> [Result] {
        var options = EnvironmentOptions()
        options.createDirectory = true
        let environment = try Environment(path: "\(folder)/values", options: options)
        defer { environment.close() }
        let table = try environment.openTable(named: "values", create: true)
        let value = [UInt8](repeating: 0xA5, count: Self.valueByteCount)
        for first in stride(from: 0, to: Self.valueCount, by: 64) {
            try environment.write { transaction in
                for key in first..<first + 64 { try transaction.put(table, key: UInt64(key), value: value) }
            }
        }
        let byteCount = Self.valueCount * Self.valueByteCount
        let inOrder = try median {
            try environment.read { transaction in
                try transaction.withCursor(table) { cursor in
                    var sum: UInt64 = 0
                    var entry = try unsafe cursor.first()
                    while let current = unsafe entry {
                        unsafe sum &+= Self.sum(current.value)
                        unsafe entry = try cursor.next()
                    }
                    keep(sum)
                }
            }
        }
        var random = SplitMix64(seed: 1)
        let keys = (0..<20_000).map { _ in UInt64.random(in: 0..<UInt64(Self.valueCount), using: &random) }
        let lookups = try median {
            try environment.read { transaction in
                var sum = 0
                for key in keys {
                    sum += try transaction.withValue(of: table, key: key) { $0.byteCount } ?? 0
                }
                keep(UInt64(sum))
            }
        }
        var commits: [Duration] = []
        for number in 0..<max(20, passCount) {
            let start = ContinuousClock.now
            try environment.write { transaction in
                try transaction.put(table, key: UInt64(number), value: value)
            }
            commits.append(ContinuousClock.now - start)
        }
        return [
            Result(
                name: "read values of 64 KiB in order, warm",
                amount: NumberText.bytes(UInt64(byteCount)),
                time: inOrder,
                rate: "\(NumberText.fixed(Double(byteCount) / (inOrder / .nanoseconds(1)), 1)) GB/s"
            ),
            Result(
                name: "look a value up, at random",
                amount: "\(keys.count)",
                time: lookups,
                rate: "\(NumberText.fixed(lookups / .nanoseconds(1) / Double(keys.count), 0)) ns each"
            ),
            Result(
                name: "commit of one value, synced, median",
                amount: "\(commits.count)",
                time: .milliseconds(PairedTimes.medianMilliseconds(commits)),
                rate: ""
            ),
        ]
    }

    private static func sum(_ value: UnsafeRawBufferPointer) -> UInt64 {
        var sum: UInt64 = 0
        // One word of each cache line: the rest comes with it.
        for offset in stride(from: 0, to: value.count - 7, by: 64) {
            sum &+= unsafe value.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
        }
        return sum
    }

    /// Keeps the compiler from leaving out what makes a value: it cannot know that no sum is one.
    private func keep(_ value: UInt64) { precondition(value != 1) }

    private func median(_ body: () throws -> Void) rethrows -> Duration {
        var times: [Double] = []
        // The first pass warms.
        for _ in 0...passCount {
            let start = ContinuousClock.now
            try body()
            times.append((ContinuousClock.now - start) / .nanoseconds(1))
        }
        return .nanoseconds(Int64(PairedTimes.median(Array(times.dropFirst()))))
    }

    // MARK: Partition

    private func partition() throws -> [Result] {
        let gallery = try SyntheticGallery(GalleryParameters(faceCount: faceCount, dimension: Self.dimension))
        var options = PartitionOptions()
        // What is timed is what changes the file.
        options.settlesCodes = false
        let partition = try IndexBench.newPartition(at: "\(folder)/partition", options: options)
        defer { partition.close() }
        let enrolment = try enrol(gallery, into: partition)
        let codebook = try CodebookTrainer.train(
            sample: partition.sample(count: min(faceCount, Self.trainingCount), seed: 1),
            generation: 1,
            listCount: 0,
            seed: 1,
            shouldStop: { false }
        )
        try partition.install(codebook: codebook.encoded())
        let folds = try maintain(partition)
        let deletion = try delete(gallery, from: partition)
        let emptying = try maintain(partition)
        let deletedCount = faceCount / 4 * 3
        return [
            result("enrol, \(Self.batchRowCount) a commit, all", faceCount, enrolment),
            result("fold into lists and merge, all", faceCount, folds.all),
            Result(
                name: "longest step of it",
                amount: "\(folds.stepCount) steps",
                time: folds.longest,
                rate: ""
            ),
            result("delete three quarters, \(Self.batchRowCount) a commit, all", deletedCount, deletion),
            result("overwrite the deleted and empty their chunks, all", deletedCount, emptying.all),
            Result(name: "longest step of it", amount: "\(emptying.stepCount) steps", time: emptying.longest, rate: ""),
        ]
    }

    private func result(_ name: String, _ count: Int, _ time: Duration) -> Result {
        Result(
            name: name,
            amount: NumberText.counted(count, "face"),
            time: time,
            rate: "\(NumberText.fixed(time / .microseconds(1) / Double(count), 1)) µs each"
        )
    }

    private func enrol(_ gallery: SyntheticGallery, into partition: Partition) throws -> Duration {
        var time = Duration.zero
        for first in stride(from: 0, to: faceCount, by: Self.batchRowCount) {
            let range = first..<min(faceCount, first + Self.batchRowCount)
            let rows = range.map { EnrolRow(id: gallery.faceID($0), metadata: FaceMetadata()) }
            let embeddings = EmbeddingMatrix(dimension: Self.dimension, values: gallery.faces(in: range))
            let start = ContinuousClock.now
            _ = try partition.write(
                [WriteBatch(key: .random(), operation: .enrol(rows: rows, embeddings: embeddings))],
                epoch: 1
            )
            time += ContinuousClock.now - start
        }
        return time
    }

    /// Three of every four, so that every chunk has some left.
    private func delete(_ gallery: SyntheticGallery, from partition: Partition) throws -> Duration {
        let ids = (0..<faceCount).filter { !$0.isMultiple(of: 4) }.map(gallery.faceID)
        let start = ContinuousClock.now
        for first in stride(from: 0, to: ids.count, by: Self.batchRowCount) {
            let some = Array(ids[first..<min(ids.count, first + Self.batchRowCount)])
            _ = try partition.write([WriteBatch(key: .random(), operation: .delete(some))], epoch: 1)
        }
        return ContinuousClock.now - start
    }

    private func maintain(_ partition: Partition) throws -> (all: Duration, longest: Duration, stepCount: Int) {
        var (all, longest, stepCount) = (Duration.zero, Duration.zero, 0)
        while true {
            let start = ContinuousClock.now
            let didSomething = try partition.maintain(now: Timestamp(milliseconds: 0), isIdle: true) != nil
            let time = ContinuousClock.now - start
            guard didSomething else { return (all, longest, stepCount) }
            (all, longest, stepCount) = (all + time, max(longest, time), stepCount + 1)
        }
    }
}
