import MienClient
import Synchronization
import Testing

/// Enrols, replaces and deletes its own faces, in small batches one after the other, until told to pause.
///
/// Now and then it reads what it has just written, by id or as a probe, from whatever replica answers: nobody else
/// writes its faces, so what was acknowledged is all that it may see.
struct FaceWriter: Sendable {
    static let collection = "people"
    static let model = "model-a"
    static let dimension = 64
    private static let largestBatch = 24

    /// What the story and all writers tell each other during a round.
    final class Pause: Sendable {
        private let flag = Atomic<Bool>(false)
        private let acknowledged = Atomic<Int>(0)
        /// Writes acknowledged in the round so far, over all writers.
        var acknowledgedCount: Int { acknowledged.load(ordering: .acquiring) }
        func noteAcknowledged(_ count: Int) { acknowledged.add(count, ordering: .acquiringAndReleasing) }
        var isAsked: Bool { flag.load(ordering: .acquiring) }
        func ask() { flag.store(true, ordering: .releasing) }
    }

    private(set) var ledger = FaceLedger()
    private(set) var acknowledgedCount = 0
    private(set) var failedCount = 0
    /// Reads and searches that were answered; those that were refused count for nothing.
    private(set) var readCount = 0
    /// Failures that no kill explains, and answers that are not true.
    private(set) var surprises: [String] = []
    private let refusals: [MienClientError.Code]
    private var random: SeededRandom
    private var lastVersion = 0

    /// - Parameter refusals: of writes, that the story explains.
    init(seed: UInt64, expecting refusals: [MienClientError.Code] = []) {
        random = SeededRandom(seed: seed)
        self.refusals = refusals
    }

    /// The collection of all writers.
    ///
    /// - Parameter minimumInSync: nil for the usual number.
    static func createCollection(
        _ name: String = collection,
        shards shardCount: Int,
        copies: Int = 1,
        minimumInSync: Int? = nil,
        _ client: MienClient
    ) async throws {
        _ = try await client.createCollection(
            CollectionOptions(
                name: name,
                dimension: dimension,
                embeddingModel: model,
                shardCount: shardCount,
                replicationFactor: copies,
                minimumInSync: minimumInSync
            )
        )
    }

    /// Every face of the collection, with its embedding; each is listed once.
    static func storedFaces(
        _ client: MienClient,
        in collection: String = collection
    ) async throws -> [Face.ID: Face] {
        var stored: [Face.ID: Face] = [:]
        for try await page in client.allFaces(in: collection, includesEmbeddings: true) {
            for face in page {
                #expect(stored.updateValue(face, forKey: face.id) == nil, "the face \(face.id) is listed twice")
            }
        }
        return stored
    }

    func writing(to client: MienClient, until pause: Pause) async -> FaceWriter {
        var writer = self
        while !pause.isAsked, !Task.isCancelled {
            let before = writer.acknowledgedCount
            await writer.writeOnce(to: client)
            pause.noteAcknowledged(writer.acknowledgedCount - before)
        }
        return writer
    }

    private mutating func writeOnce(to client: MienClient) async {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<50: await enrol(newFaces(), client)
        case 50..<80: await enrol(someFaces(), client)
        default: await delete(someFaces(), client)
        }
    }

    private mutating func newFaces() -> [Face.ID] {
        (0..<Int.random(in: 1...Self.largestBatch, using: &random)).map { _ in
            Face.ID(high: random.next(), low: random.next())
        }
    }

    private mutating func someFaces() -> [Face.ID] {
        let count = Int.random(in: 1...Self.largestBatch / 2, using: &random)
        return Array(Set((0..<count).compactMap { _ in ledger.ids.randomElement(using: &random) })).sorted()
    }

    private mutating func enrol(_ faces: [Face.ID], _ client: MienClient) async {
        guard !faces.isEmpty else { return }
        lastVersion += 1
        let content = FaceLedger.Content.version(lastVersion)
        let before = ledger.begin(faces, content)
        let batch = faces.map {
            NewFace(id: $0, metadata: Face.Metadata(externalImageID: "version-\(lastVersion)"))
        }
        let values = faces.flatMap { FaceLedger.embedding($0, version: lastVersion, dimension: Self.dimension) }
        do throws(MienClientError) {
            let receipt = try await client.enrol(
                batch,
                embeddings: Embeddings(dimension: Self.dimension, values: values),
                into: Self.collection,
                model: Self.model
            )
            for case .rejected(let reason) in receipt.outcomes { surprises.append("a good row was refused: \(reason)") }
            acknowledge(faces, content)
            await readNowAndThen(faces, content, after: receipt.token, client)
        } catch {
            await note(error, before)
        }
    }

    private mutating func delete(_ faces: [Face.ID], _ client: MienClient) async {
        guard !faces.isEmpty else { return }
        let before = ledger.begin(faces, .absent)
        do throws(MienClientError) {
            let receipt = try await client.deleteFaces(faces, from: Self.collection)
            acknowledge(faces, .absent)
            // What was deleted nobody is shown, with a token or without.
            await readNowAndThen(faces, .absent, after: Bool.random(using: &random) ? receipt.token : nil, client)
        } catch {
            await note(error, before)
        }
    }

    private mutating func readNowAndThen(
        _ faces: [Face.ID],
        _ content: FaceLedger.Content,
        after token: WriteToken?,
        _ client: MienClient
    ) async {
        let draw = Int.random(in: 0..<10, using: &random)
        guard draw < 4 else { return }
        do throws(MienClientError) {
            // One that was never there is looked for by id alone.
            let probed = draw < 2 ? nil : faces.first { !ledger.probeVersions(of: $0, content).isEmpty }
            let fault =
                if let probed {
                    try await search(probed, content, after: token, client)
                } else {
                    try await read(faces, content, after: token, client)
                }
            readCount += 1
            if let fault { surprises.append(fault) }
        } catch {
            let isExpected: [MienClientError.Code] = [
                .unavailable, .deadlineExceeded, .overloaded, .notYet, .incompleteCoverage,
            ]
            if !isExpected.contains(error.code) { surprises.append("\(error)") }
        }
    }

    /// - Returns: what is not true, as a sentence; nil when all is.
    private func read(
        _ faces: [Face.ID],
        _ content: FaceLedger.Content,
        after token: WriteToken?,
        _ client: MienClient
    ) async throws(MienClientError) -> String? {
        let shown = try await client.faces(faces, in: Self.collection, after: token)
        let names = Dictionary(shown.map { ($0.id, $0.metadata.externalImageID) }) { first, _ in first }
        let wrong = faces.first { id in
            switch content {
            case .absent: names[id] != nil
            case .version(let version): names[id] != "version-\(version)"
            }
        }
        return wrong.map { "read after its write, the face \($0) is not \(content)" }
    }

    private func search(
        _ face: Face.ID,
        _ content: FaceLedger.Content,
        after token: WriteToken?,
        _ client: MienClient
    ) async throws(MienClientError) -> String? {
        let versions = ledger.probeVersions(of: face, content)
        let results = try await client.search(
            Self.collection,
            probes: Embeddings(
                dimension: Self.dimension,
                values: versions.flatMap {
                    FaceLedger.embedding(face, version: $0, dimension: Self.dimension)
                }
            ),
            model: Self.model,
            options: SearchOptions(matchLimit: 10, effort: .exact, coverage: .full),
            after: token
        )
        let found = results.outcomes.compactMap { outcome -> [Face.ID]? in
            if case .matches(let matches) = outcome { matches.map(\.id) } else { nil }
        }
        guard found.count == versions.count, results.coverage.isFull else {
            return "an answer that was to be full is not: \(results.coverage)"
        }
        let isTrue = found.allSatisfy { content == .absent ? !$0.contains(face) : $0.first == face }
        return isTrue ? nil : "a search after its write shows the face \(face) as if it were not \(content)"
    }

    private mutating func acknowledge(_ faces: [Face.ID], _ content: FaceLedger.Content) {
        acknowledgedCount += 1
        ledger.settle(faces, content)
    }

    private mutating func note(_ error: MienClientError, _ before: [Face.ID: Set<FaceLedger.Content>]) async {
        failedCount += 1
        if error.hasNoEffect { ledger.putBack(before) }
        let isExpected = [.unavailable, .deadlineExceeded, .overloaded, .notYet] + refusals
        if !isExpected.contains(error.code) { surprises.append("\(error)") }
        try? await Task.sleep(for: .milliseconds(20))
    }

    /// Compares what is stored of this writer's faces with what it knows. What was uncertain is certain afterwards.
    ///
    /// - Parameter stored: every face of the collection; this writer's are taken out of it.
    /// - Returns: what is wrong, a sentence each.
    mutating func check(_ stored: inout [Face.ID: Face]) -> [String] {
        var faults: [String] = []
        for (id, possible) in ledger.contents {
            let face = stored.removeValue(forKey: id)
            let content: FaceLedger.Content
            if let face {
                let name = face.metadata.externalImageID ?? ""
                guard let version = Int(name.dropFirst("version-".count)) else {
                    faults.append("the face \(id) has lost its name")
                    continue
                }
                content = .version(version)
                let wanted = FaceLedger.embedding(id, version: version, dimension: Self.dimension)
                let difference = zip(wanted, face.embedding ?? []).map { abs($0 - $1) }.max() ?? 1
                // Half of the last place of float16 at most, and the rounding of the length.
                if face.embedding?.count != wanted.count || difference > 6e-4 {
                    faults.append("the face \(id) of version \(version) has another embedding, off by \(difference)")
                }
            } else {
                content = .absent
            }
            if !possible.contains(content) {
                faults.append("the face \(id) is \(content), and may only be one of \(possible)")
            }
            ledger.settle([id], content)
        }
        return faults
    }
}
