import MienClient
import Synchronization

/// One of the clients of a history: writes and reads the shared faces, a call after the other.
struct HistoryClient: Sendable {
    private static let passing: [MienClientError.Code] = [
        .unavailable, .deadlineExceeded, .overloaded, .notYet, .incompleteCoverage,
    ]

    private let number: Int
    private let client: MienClient
    private let recorder: HistoryRecorder
    private var random: SeededRandom

    init(_ number: Int, _ client: MienClient, _ recorder: HistoryRecorder, seed: UInt64) {
        self.number = number
        self.client = client
        self.recorder = recorder
        random = SeededRandom(seed: seed &+ UInt64(number))
    }

    func playing(until pause: FaceWriter.Pause) async {
        var player = self
        while !pause.isAsked {
            switch Int.random(in: 0..<100, using: &player.random) {
            case 0..<30: await player.enrol(pause)
            case 30..<42: await player.delete(pause)
            case 42..<80: await player.get()
            default: await player.search()
            }
            try? await Task.sleep(for: .milliseconds(Int.random(in: 1...8, using: &player.random)))
        }
    }

    private mutating func someFaces(atMost limit: Int) -> [Face.ID] {
        Array(recorder.faces.shuffled(using: &random).prefix(Int.random(in: 1...limit, using: &random)))
    }

    // MARK: Writes

    private mutating func enrol(_ pause: FaceWriter.Pause) async {
        let faces = someFaces(atMost: 3)
        let version = recorder.number()
        let batch = faces.map {
            NewFace(id: $0, metadata: Face.Metadata(externalImageID: HistoryRecorder.name(ofVersion: version)))
        }
        let values = faces.flatMap {
            FaceLedger.embedding($0, version: version, dimension: FaceWriter.dimension)
        }
        let client = client
        await write(faces, .version(version), pause) { () async throws(MienClientError) in
            let receipt = try await client.enrol(
                batch,
                embeddings: Embeddings(dimension: FaceWriter.dimension, values: values),
                into: FaceWriter.collection,
                model: FaceWriter.model
            )
            let found = receipt.outcomes.map { outcome -> Bool? in
                switch outcome {
                case .accepted: false
                case .replaced: true
                case .superseded, .rejected: nil
                }
            }
            return (found, receipt.token)
        }
    }

    private mutating func delete(_ pause: FaceWriter.Pause) async {
        let faces = someFaces(atMost: 2)
        let client = client
        await write(faces, .absent, pause) { () async throws(MienClientError) in
            let receipt = try await client.deleteFaces(faces, from: FaceWriter.collection)
            return (receipt.wasPresent, receipt.token)
        }
    }

    /// - Parameter call: gives whether each face was there before, nil where the receipt is not as it should be.
    private func write(
        _ faces: [Face.ID],
        _ content: ClientOperation.Content,
        _ pause: FaceWriter.Pause,
        _ call: () async throws(MienClientError) -> (found: [Bool?], token: WriteToken)
    ) async {
        let began = recorder.now
        var outcomes = [ClientOperation.Outcome](repeating: .unknown, count: faces.count)
        var token: WriteToken?
        do throws(MienClientError) {
            let receipt = try await call()
            token = receipt.token
            outcomes = receipt.found.map { .acknowledged(found: $0) }
            if receipt.found.contains(nil) { recorder.noteSurprise("a good row was refused") }
            pause.noteAcknowledged(1)
        } catch {
            if error.hasNoEffect { outcomes = outcomes.map { _ in .refused } }
            if !Self.passing.contains(error.code) { recorder.noteSurprise("\(error)") }
        }
        let ended = recorder.now
        var operations: [Face.ID: ClientOperation] = [:]
        for (face, outcome) in zip(faces, outcomes) {
            operations[face] = operation(began, ended, .write(content, outcome))
        }
        recorder.wrote(operations, token: token)
        if token == nil { try? await Task.sleep(for: .milliseconds(20)) }
    }

    // MARK: Reads

    /// What a read asks to see.
    private enum Demand {
        case recent
        case after(HistoryRecorder.SharedToken)
        case strong

        func name(of kind: String) -> String {
            switch self {
            case .recent: kind
            case .after: "\(kind) with a token"
            case .strong: "strong \(kind)"
            }
        }

        func consistency(of face: Face.ID) -> ClientOperation.Consistency {
            switch self {
            case .recent: .recent
            case .after(let token): .after(token.writes[face].map { [$0] } ?? [])
            case .strong: .strong
            }
        }
    }

    private func token(for demand: Demand) async throws(MienClientError) -> WriteToken? {
        switch demand {
        case .recent: nil
        case .after(let token): token.token
        case .strong: try await client.latestToken(of: FaceWriter.collection)
        }
    }

    private mutating func get() async {
        let faces = someFaces(atMost: 6)
        let demand = randomDemand()
        await read(faces, demand, demand.name(of: "reads")) { () async throws(MienClientError) in
            let token = try await token(for: demand)
            let shown = try await client.faces(
                faces,
                in: FaceWriter.collection,
                includesEmbeddings: true,
                after: token
            )
            return Dictionary(shown.map { ($0.id, recorder.content(of: $0)) }) { first, _ in first }
        }
    }

    /// An exact search by a face, with room for every other one among its matches.
    private mutating func search() async {
        let face = someFaces(atMost: 1)[0]
        let version = recorder.lastVersion(of: face)
        let demand = randomDemand()
        await read(recorder.faces, demand, demand.name(of: "searches")) { () async throws(MienClientError) in
            let token = try await token(for: demand)
            let results = try await client.search(
                FaceWriter.collection,
                probes: Embeddings(
                    dimension: FaceWriter.dimension,
                    values: FaceLedger.embedding(face, version: version, dimension: FaceWriter.dimension)
                ),
                model: FaceWriter.model,
                options: SearchOptions(matchLimit: recorder.faces.count + 8, effort: .exact, coverage: .full),
                after: token
            )
            return contents(of: results, of: face, version)
        }
    }

    /// What a search shows of every face that it found.
    private func contents(
        of results: SearchResults,
        of face: Face.ID,
        _ version: Int
    ) -> [Face.ID: ClientOperation.Content] {
        guard case .matches(let matches)? = results.outcomes.first, results.coverage.isFull else {
            recorder.noteSurprise("an answer that was to be full is not: \(results.coverage)")
            return [:]
        }
        var contents: [Face.ID: ClientOperation.Content] = [:]
        for match in matches {
            guard recorder.faces.contains(match.id) else {
                recorder.noteSurprise("the face \(match.id) is found, which nobody enrolled")
                continue
            }
            let shown = HistoryRecorder.version(of: match.metadata)
            let isProbe = match.id == face && shown == version
            if shown == nil || isProbe != (match.similarity > 0.999) {
                recorder.noteSurprise("the face \(match.id) is found with what it is not: \(match.similarity)")
            }
            if contents.updateValue(.version(shown ?? 0), forKey: match.id) != nil {
                recorder.noteSurprise("the face \(match.id) is found twice")
            }
        }
        return contents
    }

    /// - Parameter call: gives what is shown of the faces that are there.
    private func read(
        _ faces: [Face.ID],
        _ demand: Demand,
        _ kind: String,
        _ call: () async throws(MienClientError) -> [Face.ID: ClientOperation.Content]
    ) async {
        let began = recorder.now
        do throws(MienClientError) {
            let contents = try await call()
            let ended = recorder.now
            var operations: [Face.ID: ClientOperation] = [:]
            for face in faces {
                let content = contents[face] ?? .absent
                operations[face] = operation(began, ended, .read(content, demand.consistency(of: face)))
            }
            recorder.read(operations, as: kind)
        } catch {
            recorder.noteUnanswered()
            if !Self.passing.contains(error.code) { recorder.noteSurprise("\(error)") }
        }
    }

    private mutating func randomDemand() -> Demand {
        switch Int.random(in: 0..<4, using: &random) {
        case 0: .recent
        case 1: .strong
        default: recorder.randomToken(using: &random).map { .after($0) } ?? .recent
        }
    }

    private func operation(
        _ began: Duration,
        _ ended: Duration,
        _ action: ClientOperation.Action
    ) -> ClientOperation {
        ClientOperation(number: recorder.number(), client: number, began: began, ended: ended, action: action)
    }
}
