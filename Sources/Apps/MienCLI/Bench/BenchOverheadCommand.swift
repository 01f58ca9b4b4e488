import ArgumentParser
import FaceModel
import Foundation
import MienClient
import PartitionEngine
import SyntheticGallery

struct BenchOverheadCommand: ConsoleCommand {
    static let configuration = CommandConfiguration(
        commandName: "overhead",
        abstract: "Measure what a search through a cluster costs over one in process.",
        discussion: """
            EXAMPLE
              mien bench overhead --faces 2000

            Puts the same faces into a cluster of one worker, a process of its own on loopback, and into a \
            partition of this process, and searches both in turn with exact effort. All of it is in a \
            temporary folder.
            """
    )

    @Option(help: "Faces to search.")
    var faces = 2000
    @Option(help: "Pairs of searches.")
    var pairs = 500
    @Flag(help: "Write JSON for programs.")
    var json = false

    func validate() throws {
        guard (100...200_000).contains(faces) else { throw ValidationError("--faces must be from 100 to 200000.") }
        guard (1...100_000).contains(pairs) else { throw ValidationError("--pairs must be from 1 to 100000.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mien-bench-\(UUID().uuidString)")
            .path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        do {
            let bench = try OverheadBench(folder: folder, faceCount: faces)
            let cluster = try await BenchCluster.start(folder: folder + "/cluster")
            defer { cluster.stop() }
            let times = try await bench.times(client: cluster.client, pairs: pairs)
            await cluster.client.close()
            report(times, on: console)
        } catch let error as CommandFailure {
            throw error
        } catch let error as MienClientError {
            throw CommandFailure(error)
        } catch {
            throw CommandFailure(.internalError, "the measurement failed: \(error)")
        }
    }

    private func report(_ times: PairedTimes, on console: Console) {
        let cluster = PairedTimes.median(times.first.map { $0 / .microseconds(1) })
        let partition = PairedTimes.median(times.second.map { $0 / .microseconds(1) })
        let difference = PairedTimes.median(zip(times.first, times.second).map { ($0 - $1) / .microseconds(1) })
        if json {
            let document = JSONValue.object([
                ("faces", .count(faces)), ("pairs", .count(pairs)), ("cluster_us", .number(cluster)),
                ("partition_us", .number(partition)), ("overhead_us", .number(difference)),
            ])
            console.writeOutput(document.document)
        } else {
            console.writeOutput(
                "One probe against \(faces) faces, exact, median of \(pairs) pairs:\n"
                    + "  through the cluster  \(NumberText.fixed(cluster, 0)) µs\n"
                    + "  in process           \(NumberText.fixed(partition, 0)) µs\n"
                    + "  overhead             \(NumberText.fixed(difference, 0)) µs (median of the differences)\n"
            )
        }
    }
}

/// A cluster of one worker in a child process.
private struct BenchCluster {
    let process: Process
    let client: MienClient

    static func start(folder: String) async throws -> BenchCluster {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/proc/self/exe")
        process.arguments = [
            "dev", "--workers", "1", "--listen", "127.0.0.1:0", "--data", folder, "--log-level", "error",
        ]
        let output = Pipe()
        process.standardOutput = output
        try process.run()
        var text = ""
        while !text.contains("\n") {
            let more = output.fileHandleForReading.availableData
            guard !more.isEmpty else { throw CommandFailure(.internalError, "the cluster did not start") }
            text += String(decoding: more, as: UTF8.self)
        }
        // The line is "Serving: coordinator on HOST:PORT; workers on …".
        guard let start = text.range(of: "coordinator on "), let end = text[start.upperBound...].firstIndex(of: ";"),
            let address = MienClient.Address(String(text[start.upperBound..<end]))
        else {
            process.terminate()
            throw CommandFailure(.internalError, "the cluster did not say where it listens")
        }
        let client = try MienClient(addresses: [address], calls: .init(retryDuration: .seconds(5)))
        return BenchCluster(process: process, client: client)
    }

    func stop() {
        process.terminate()
        process.waitUntilExit()
    }
}

/// The same faces in a cluster and in a partition of this process.
private struct OverheadBench {
    private static let dimension = 512
    private static let model = "synthetic-wild-512"
    private let gallery: SyntheticGallery
    private let partition: Partition
    private let batch: Int = 1000

    init(folder: String, faceCount: Int) throws {
        gallery = try SyntheticGallery(GalleryParameters(faceCount: faceCount, dimension: Self.dimension))
        let configuration = CollectionConfiguration(
            name: "bench",
            dimension: Self.dimension,
            embeddingModel: Self.model,
            shardCount: 1
        )
        partition = try Partition.create(
            at: folder + "/partition",
            identity: PartitionIdentity(
                collection: Collection(
                    id: .random(),
                    configuration: configuration,
                    created: Timestamp(milliseconds: 0)
                ),
                shardIndex: 0,
                firstHash: 0,
                lastHash: .max
            ),
            options: PartitionOptions()
        )
    }

    /// First the cluster's time, then the partition's.
    func times(client: MienClient, pairs: Int) async throws -> PairedTimes {
        _ = try await client.createCollection(
            CollectionOptions(name: "bench", dimension: Self.dimension, embeddingModel: Self.model, shardCount: 1)
        )
        for first in stride(from: 0, to: gallery.faceCount, by: batch) {
            let range = first..<min(gallery.faceCount, first + batch)
            let values = gallery.faces(in: range)
            let ids = range.map { gallery.faceID($0) }
            _ = try await client.enrol(
                ids.map { NewFace(id: Face.ID(high: $0.high, low: $0.low)) },
                embeddings: Embeddings(dimension: Self.dimension, values: values),
                into: "bench",
                model: Self.model
            )
            _ = try partition.write(
                [
                    WriteBatch(
                        key: .random(),
                        operation: .enrol(
                            rows: ids.map { EnrolRow(id: $0, metadata: FaceMetadata()) },
                            embeddings: EmbeddingMatrix(dimension: Self.dimension, values: values)
                        )
                    )
                ],
                epoch: 1
            )
        }
        var times = PairedTimes()
        for pair in -20..<pairs {
            let probe = gallery.probes(in: max(0, pair)..<max(0, pair) + 1)
            let start = ContinuousClock.now
            _ = try await client.search(
                "bench",
                probes: Embeddings(dimension: Self.dimension, values: probe),
                model: Self.model,
                options: SearchOptions(matchLimit: 10, effort: .exact)
            )
            let middle = ContinuousClock.now
            _ = try partition.search(
                PartitionSearch(
                    parameters: SearchParameters(matchLimit: 10, effort: .exact),
                    excludedFace: nil,
                    probes: EmbeddingMatrix(dimension: Self.dimension, values: probe),
                    now: Timestamp(milliseconds: 0)
                ),
                shouldStop: { false }
            )
            let end = ContinuousClock.now
            if pair >= 0 { times.append(middle - start, end - middle) }
        }
        return times
    }
}
