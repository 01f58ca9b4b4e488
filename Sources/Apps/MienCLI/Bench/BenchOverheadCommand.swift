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
            partition of this process, and searches both in turn with exact effort. The same with a single \
            face shows the path alone: what is left when there is nothing to compare. Then faces are enrolled \
            one by one, and each is searched for as soon as its write is acknowledged. All of it is in a \
            temporary folder.
            """
    )

    @Option(help: "Faces to search.")
    var faces = 2000
    @Option(help: "Pairs of searches.")
    var pairs = 500
    @Option(help: "Faces enrolled one by one and searched for.")
    var writes = 200
    @Flag(help: "Write JSON for programs.")
    var json = false

    private static let warmUpCount = 20
    /// Different probes; they are used again after that.
    private static let probeCount = 1000

    func validate() throws {
        guard (100...200_000).contains(faces) else { throw ValidationError("--faces must be from 100 to 200000.") }
        guard (1...100_000).contains(pairs) else { throw ValidationError("--pairs must be from 1 to 100000.") }
        guard (1...10_000).contains(writes) else { throw ValidationError("--writes must be from 1 to 10000.") }
    }

    func run(on console: Console) async throws(CommandFailure) {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mien-bench-\(UUID().uuidString)")
            .path
        defer { try? FileManager.default.removeItem(atPath: folder) }
        do {
            let gallery = try SyntheticGallery(
                GalleryParameters(faceCount: faces + writes, dimension: OverheadSubject.dimension)
            )
            let cluster = try await BenchCluster.start(folder: folder + "/cluster")
            defer { cluster.stop() }
            let whole = try await OverheadSubject(gallery, faceCount: faces, in: folder, cluster.client)
            let path = try await OverheadSubject(gallery, faceCount: 1, in: folder, cluster.client)
            // Made before the clock runs: making them empties the caches.
            let probes = gallery.probes(in: 0..<min(pairs, Self.probeCount))
            let rows = probes.indices.filter { $0.isMultiple(of: OverheadSubject.dimension) }.map {
                Array(probes[$0..<$0 + OverheadSubject.dimension])
            }
            var report = OverheadReport()
            for pair in -Self.warmUpCount..<pairs {
                let probe = rows[max(0, pair) % rows.count]
                let wholeTimes = try await whole.search(probe, cluster.client)
                let pathTimes = try await path.search(probe, cluster.client)
                guard pair >= 0 else { continue }
                report.append(whole: wholeTimes, path: pathTimes)
            }
            for face in faces..<faces + writes {
                report.append(
                    try await whole.enrolAndFind(
                        gallery.faceID(face),
                        gallery.faces(in: face..<face + 1),
                        cluster.client
                    )
                )
            }
            await cluster.client.close()
            console.writeOutput(json ? report.json(faces: faces) : report.text(faces: faces))
        } catch let error as CommandFailure {
            throw error
        } catch let error as MienClientError {
            throw CommandFailure(error)
        } catch {
            throw CommandFailure(.internalError, "the measurement failed: \(error)")
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
private struct OverheadSubject {
    static let dimension = 512
    private static let model = "synthetic-wild-512"
    private static let batch = 1000
    /// Searches after which a face that was acknowledged is given up.
    private static let searchLimit = 1000
    private let name: String
    private let partition: Partition

    init(_ gallery: SyntheticGallery, faceCount: Int, in folder: String, _ client: MienClient) async throws {
        name = "bench-\(faceCount)"
        let configuration = CollectionConfiguration(
            name: name,
            dimension: Self.dimension,
            embeddingModel: Self.model,
            shardCount: 1
        )
        partition = try Partition.create(
            at: "\(folder)/\(name)",
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
        _ = try await client.createCollection(
            CollectionOptions(name: name, dimension: Self.dimension, embeddingModel: Self.model, shardCount: 1)
        )
        for first in stride(from: 0, to: faceCount, by: Self.batch) {
            let range = first..<min(faceCount, first + Self.batch)
            let values = gallery.faces(in: range)
            let ids = range.map { gallery.faceID($0) }
            _ = try await client.enrol(
                ids.map { NewFace(id: Face.ID(high: $0.high, low: $0.low)) },
                embeddings: Embeddings(dimension: Self.dimension, values: values),
                into: name,
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
    }

    /// One search through the cluster, then the same in process.
    func search(_ probe: [Float], _ client: MienClient) async throws -> OverheadTimes {
        let start = ContinuousClock.now
        let results = try await client.search(
            name,
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
        return OverheadTimes(
            cluster: middle - start,
            coordinator: results.coordinatorTime,
            partition: .now - middle
        )
    }
}

extension OverheadSubject {
    /// Enrols one face and searches for it until it is found.
    func enrolAndFind(_ face: FaceID, _ embedding: [Float], _ client: MienClient) async throws -> EnrolmentTimes {
        let id = Face.ID(high: face.high, low: face.low)
        let values = Embeddings(dimension: Self.dimension, values: embedding)
        let start = ContinuousClock.now
        _ = try await client.enrol([NewFace(id: id)], embeddings: values, into: name, model: Self.model)
        let acknowledged = ContinuousClock.now
        var searchCount = 0
        while true {
            let results = try await client.search(name, probes: values, model: Self.model)
            searchCount += 1
            // Copies of one image may be ranked before it.
            if case .matches(let matches)? = results.outcomes.first, matches.contains(where: { $0.id == id }) { break }
            guard searchCount < Self.searchLimit else {
                throw CommandFailure(.internalError, "a face was not found though its write had been acknowledged")
            }
        }
        return EnrolmentTimes(
            acknowledged: acknowledged - start,
            found: .now - acknowledged,
            searchCount: searchCount
        )
    }
}

/// One face that was enrolled and then found.
private struct EnrolmentTimes {
    var acknowledged: Duration
    /// From there to the answer that has it.
    var found: Duration
    var searchCount: Int
}

/// One search, both ways.
private struct OverheadTimes {
    var cluster: Duration
    /// The part of it between the coordinator's reading of the request and its answer.
    var coordinator: Duration
    var partition: Duration
}

private struct OverheadReport {
    private struct Part {
        var times = PairedTimes()
        var coordinator: [Duration] = []

        mutating func append(_ new: OverheadTimes) {
            times.append(new.cluster, new.partition)
            coordinator.append(new.coordinator)
        }

        var cluster: Double { PairedTimes.medianMicroseconds(times.first) }
        var partition: Double { PairedTimes.medianMicroseconds(times.second) }
        /// Median of the differences, pair by pair.
        var overhead: Double { PairedTimes.medianMicroseconds(zip(times.first, times.second).map { $0 - $1 }) }
        var coordinatorTime: Double { PairedTimes.medianMicroseconds(coordinator) }

        var json: JSONValue {
            .object([
                ("cluster_us", .number(cluster)), ("coordinator_us", .number(coordinatorTime)),
                ("partition_us", .number(partition)), ("overhead_us", .number(overhead)),
            ])
        }

        var text: String {
            [
                ("through the cluster", cluster), ("of that in the coordinator and the worker", coordinatorTime),
                ("in process", partition), ("overhead (median of the differences)", overhead),
            ].map { OverheadReport.line($0, $1) }.joined()
        }
    }

    private var whole = Part()
    private var path = Part()
    private var enrolments: [EnrolmentTimes] = []

    mutating func append(whole: OverheadTimes, path: OverheadTimes) {
        self.whole.append(whole)
        self.path.append(path)
    }

    mutating func append(_ enrolment: EnrolmentTimes) { enrolments.append(enrolment) }

    private var acknowledged: Double { PairedTimes.medianMicroseconds(enrolments.map(\.acknowledged)) }
    private var found: Double { PairedTimes.medianMicroseconds(enrolments.map(\.found)) }
    /// Times that a face was not in the first answer after its acknowledgement.
    private var missCount: Int { enrolments.reduce(0) { $0 + $1.searchCount - 1 } }

    func text(faces: Int) -> String {
        "One probe, exact, median of \(whole.coordinator.count) pairs.\n"
            + "Against \(faces) faces:\n\(whole.text)Against one face, which is the path alone:\n\(path.text)"
            + "One face enrolled, then searched for, median of \(enrolments.count):\n"
            + Self.line("acknowledged, on the disk", acknowledged) + Self.line("and found after", found)
            + "  in the first answer after the acknowledgement: \(enrolments.count { $0.searchCount == 1 })"
            + " of \(enrolments.count)\n"
    }

    private static func line(_ label: String, _ time: Double) -> String {
        "  \(label.padding(toLength: 42, withPad: " ", startingAt: 0)) \(NumberText.fixed(time, 0)) µs\n"
    }

    func json(faces: Int) -> String {
        JSONValue.object([
            ("faces", .count(faces)), ("pairs", .count(whole.coordinator.count)), ("whole", whole.json),
            ("path", path.json),
            (
                "enrolment",
                .object([
                    ("acknowledged_us", .number(acknowledged)), ("found_us", .number(found)),
                    ("faces", .count(enrolments.count)), ("missed", .count(missCount)),
                ])
            ),
        ]).document
    }
}
