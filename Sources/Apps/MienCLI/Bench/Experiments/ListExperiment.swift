import FaceModel
import Foundation
import PartitionEngine
import SyntheticGallery

/// A folder for what an experiment keeps on disk, removed with the value.
final class ExperimentFolder {
    let path: String

    /// - Parameter parent: the system's folder for temporary files by default.
    init(in parent: String?) throws(CommandFailure) {
        path = (parent ?? NSTemporaryDirectory()) + "/mien-bench-\(UUID().uuidString)"
        do {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(.fileSystem, "\(path) cannot be made: \(error.localizedDescription)")
        }
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }
}

/// Compares a partition whose codes lie in one list, all of them scanned, with one of many lists, at one size.
struct ListExperiment {
    /// What a search of one partition with one effort took and found.
    struct Result {
        let listCount: Int
        let effort: SearchEffort
        /// CPU milliseconds a probe, one for each round.
        var single: [Double] = []
        var photo: [Double] = []
        var visitedShare = 0.0
        var recall = 0.0
        /// Mates found, by band.
        var found: [Int] = []

        var singleTime: Double { PairedTimes.median(single) }
        var photoTime: Double { PairedTimes.median(photo) }
    }

    let model: GalleryModel
    let faceCount: Int
    /// 0 chooses by the number of faces.
    let listCount: Int
    let efforts: [SearchEffort]
    let options: ExperimentOptions
    let photo: Int
    let rounds: Int
    let parent: String?

    private static let matchLimit = MeasuredGallery.matchLimit
    /// Share of a flat scan's mates that lists must find to be compared with it.
    static let equalShare = 0.99

    /// - Returns: mates that exact search finds, by band; results of a flat scan first, then of lists.
    func run(
        progress: (String) -> Void
    ) throws(CommandFailure) -> (mates: [Int], results: [Result]) {
        let gallery = try model.gallery(faceCount: faceCount, seed: options.seed)
        let probes = MatedProbes(gallery: gallery, perBand: options.perBand) { gallery.faces(in: $0)[...] }
        let folder = try ExperimentFolder(in: parent)
        var benches: [IndexBench] = []
        defer { for bench in benches { bench.close() } }
        for (name, count) in [("flat", 1), ("lists", listCount)] {
            progress("\(faceCount) faces, \(name)")
            benches.append(
                try IndexBench(
                    gallery: gallery,
                    probes: probes.values,
                    partition: "\(folder.path)/\(name)",
                    listCount: count,
                    progress: progress
                )
            )
        }
        let range = 0..<probes.count
        let exact = try benches[0].search(range, effort: .exact, matchLimit: Self.matchLimit, batch: 100)
        let isFindable = range.map { exact.rows[$0].contains(probes.mates[$0]) }
        var results = [Result(listCount: 1, effort: .full)]
        results += efforts.map { Result(listCount: benches[1].listCount, effort: $0) }
        for round in 0..<rounds {
            for index in results.indices {
                let bench = benches[index == 0 ? 0 : 1]
                let effort = results[index].effort
                let single = try bench.search(range, effort: effort, matchLimit: Self.matchLimit, batch: 1)
                let batched = try bench.search(range, effort: effort, matchLimit: Self.matchLimit, batch: photo)
                results[index].single.append(single.cpuTime / .milliseconds(1) / Double(probes.count))
                results[index].photo.append(batched.cpuTime / .milliseconds(1) / Double(probes.count))
                guard round == 0 else { continue }
                results[index].visitedShare = Double(single.rowsVisited) / Double(probes.count * faceCount)
                results[index].recall = Self.agreement(single.rows, exact.rows)
                results[index].found = (0..<SimilarityBands.count).map { band in
                    range.count {
                        isFindable[$0] && probes.band(ofProbe: $0) == band && single.rows[$0].contains(probes.mates[$0])
                    }
                }
            }
        }
        let mates = (0..<SimilarityBands.count).map { band in
            range.count { isFindable[$0] && probes.band(ofProbe: $0) == band }
        }
        return (mates, results)
    }

    private static func agreement(_ rows: [[Int]], _ exact: [[Int]]) -> Double {
        let wanted = exact.reduce(0) { $0 + $1.count }
        let agreed = zip(rows, exact).reduce(0) { sum, pair in
            let found = Set(pair.0)
            return sum + pair.1.count { found.contains($0) }
        }
        return Double(agreed) / Double(max(1, wanted))
    }

    /// The cheapest effort over lists that finds as good as all of the mates in some bands that a flat scan finds.
    static func equal(_ results: [Result], in bands: Range<Int>) -> Result? {
        guard let flat = results.first else { return nil }
        let wanted = flat.found[bands].reduce(0, +)
        return results.dropFirst().filter { Double($0.found[bands].reduce(0, +)) >= equalShare * Double(wanted) }
            .min { $0.singleTime < $1.singleTime }
    }
}
