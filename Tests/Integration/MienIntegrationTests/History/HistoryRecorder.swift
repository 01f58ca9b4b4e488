import MienClient
import Synchronization

/// Everything that several clients were told and shown of the same few faces, which only they write.
final class HistoryRecorder: Sendable {
    struct Figures: Sendable {
        var acknowledgedCount = 0
        var refusedCount = 0
        var unknownCount = 0
        /// Of those of unknown outcome.
        var settledCount = 0
        /// Answers, by what was asked.
        var readCounts: [String: Int] = [:]
        var unansweredCount = 0
    }

    /// A token that any client may read with, and the writes that it is of.
    struct SharedToken: Sendable {
        var token: WriteToken
        var writes: [Face.ID: Int]
    }

    private struct Record {
        var operations: [Face.ID: [ClientOperation]] = [:]
        var figures = Figures()
        var tokens: [SharedToken] = []
        var surprises: [String] = []
    }

    private static let tokenLimit = 8

    let faces: [Face.ID]
    private let origin = ContinuousClock.now
    private let numbers = Atomic<Int>(0)
    private let record = Mutex(Record())

    init(faceCount: Int) {
        faces = (1...faceCount).map { Face.ID(high: 0xface, low: UInt64($0)) }
    }

    /// Time since the beginning, the same for all clients.
    var now: Duration { ContinuousClock.now - origin }

    /// A number that no other operation and no other version has.
    func number() -> Int { numbers.add(1, ordering: .relaxed).newValue }

    var figures: Figures { record.withLock { $0.figures } }
    /// Failures that no fault explains, and answers that are wrong by themselves.
    var surprises: [String] { record.withLock { $0.surprises } }
    var history: [Face.ID: [ClientOperation]] { record.withLock { $0.operations } }

    func randomToken(using random: inout SeededRandom) -> SharedToken? {
        record.withLock { $0.tokens }.randomElement(using: &random)
    }

    /// A version that was once sent for the face; 0 when none was.
    func lastVersion(of face: Face.ID) -> Int {
        record.withLock { record in
            for operation in (record.operations[face] ?? []).reversed() {
                if case .write(.version(let version), _) = operation.action { return version }
            }
            return 0
        }
    }

    func noteSurprise(_ sentence: String) { record.withLock { $0.surprises.append(sentence) } }
    func noteUnanswered() { record.withLock { $0.figures.unansweredCount += 1 } }

    /// A write of several faces has ended.
    ///
    /// - Parameter token: of the write, if it was acknowledged.
    func wrote(_ operations: [Face.ID: ClientOperation], token: WriteToken?) {
        record.withLock { record in
            for (face, operation) in operations {
                record.operations[face, default: []].append(operation)
                guard case .write(_, let outcome) = operation.action else { continue }
                switch outcome {
                case .acknowledged: record.figures.acknowledgedCount += 1
                case .refused: record.figures.refusedCount += 1
                case .unknown: record.figures.unknownCount += 1
                }
            }
            guard let token else { return }
            record.tokens.append(SharedToken(token: token, writes: operations.mapValues(\.number)))
            if record.tokens.count > Self.tokenLimit { record.tokens.removeFirst() }
        }
    }

    /// What had ended before a time will not be done any more: of what nobody knows, all that will be is done by now.
    func settle(whatEndedBefore time: Duration) {
        let settled = now
        record.withLock { record in
            for (face, operations) in record.operations {
                for (index, operation) in operations.enumerated() {
                    guard case .write(_, .unknown) = operation.action, operation.settled == nil,
                        operation.ended < time
                    else { continue }
                    record.operations[face]?[index].settled = settled
                    record.figures.settledCount += 1
                }
            }
        }
    }

    /// A read of several faces was answered.
    func read(_ operations: [Face.ID: ClientOperation], as kind: String) {
        record.withLock { record in
            record.figures.readCounts[kind, default: 0] += 1
            for (face, operation) in operations { record.operations[face, default: []].append(operation) }
        }
    }
}

extension HistoryRecorder {
    struct Report: Sendable {
        var operationCount = 0
        /// Of one face.
        var longestCheck = Duration.zero
        /// A face's excerpt each.
        var violations: [String] = []
    }

    /// Lists the collection and checks all faces. Nothing has been written for ``FaceHistoryChecker/staleness``, and
    /// every copy is in sync: what is listed is all there is.
    func check(_ client: MienClient) async throws -> Report {
        let began = now
        let stored = try await FaceWriter.storedFaces(client)
        let ended = now
        var operations: [Face.ID: ClientOperation] = [:]
        for face in faces {
            operations[face] = ClientOperation(
                number: number(),
                client: 0,
                began: began,
                ended: ended,
                action: .read(content(of: stored[face]), .strong)
            )
        }
        for face in stored.keys where !faces.contains(face) { noteSurprise("the face \(face) is listed, unasked for") }
        read(operations, as: "listings at the end")

        var report = Report()
        for (face, operations) in history.sorted(by: { $0.key < $1.key }) {
            report.operationCount += operations.count
            let start = ContinuousClock.now
            let violation = FaceHistoryChecker.check(operations)
            report.longestCheck = max(report.longestCheck, ContinuousClock.now - start)
            if violation != nil, let excerpt = FaceHistoryChecker.excerpt(of: operations) {
                report.violations.append("face \(face):\n\(excerpt)")
            }
        }
        return report
    }

    /// What a face that was shown is: its version, which its embedding must be of.
    func content(of face: Face?) -> ClientOperation.Content {
        guard let face else { return .absent }
        guard let version = Self.version(of: face.metadata) else {
            noteSurprise("the face \(face.id) has lost its name")
            return .version(0)
        }
        if let embedding = face.embedding {
            let wanted = FaceLedger.embedding(face.id, version: version, dimension: FaceWriter.dimension)
            let difference = zip(wanted, embedding).map { abs($0 - $1) }.max() ?? 1
            // Half of the last place of float16 at most, and the rounding of the length.
            if embedding.count != wanted.count || difference > 6e-4 {
                noteSurprise("the face \(face.id) of version \(version) has another embedding, off by \(difference)")
            }
        }
        return .version(version)
    }

    static func name(ofVersion version: Int) -> String { "version-\(version)" }

    static func version(of metadata: Face.Metadata) -> Int? {
        metadata.externalImageID.flatMap { Int($0.dropFirst("version-".count)) }
    }
}

extension HistoryRecorder.Figures: CustomStringConvertible {
    var description: String {
        let reads = readCounts.sorted { $0.key < $1.key }.map { "\($0.value) \($0.key)" }.joined(separator: ", ")
        return "writes of a face: \(acknowledgedCount) acknowledged, \(refusedCount) refused, "
            + "\(unknownCount) unknown, of which \(settledCount) could not be done later any more; "
            + "\(reads), \(unansweredCount) not answered"
    }
}
