import MienClient

/// Writes one batch after the other, each sent when the one before was acknowledged, and keeps all that it did and
/// when: a cut of it is the state after some batch, and perhaps a part of the next.
struct HistoryWriter: Sendable {
    typealias Instant = ContinuousClock.Instant

    /// What is to be written at once.
    struct Batch: Sendable {
        var faces: [Face.ID]
        /// What they become; nil when they are deleted.
        var version: Int?
    }

    private struct Times: Sendable {
        var began: Instant
        /// When it was acknowledged.
        var ended: Instant
    }

    let number: Int
    private(set) var ids: [Face.ID] = []
    /// What each face became, by number of the batch; nil when it was deleted.
    private var history: [Face.ID: [(batch: Int, version: Int?)]] = [:]
    /// Of the acknowledged batches; the first one has the number 1.
    private var times: [Times] = []
    private var random: SeededRandom

    init(seed: UInt64, number: Int) {
        self.number = number
        random = SeededRandom(seed: seed)
    }

    // MARK: Writing

    func writing(to client: MienClient, until pause: FaceWriter.Pause) async throws -> HistoryWriter {
        var writer = self
        while !pause.isAsked {
            try await writer.writeOnce(to: client)
            pause.noteAcknowledged(1)
        }
        return writer
    }

    mutating func writeOnce(to client: MienClient) async throws {
        let batch = nextBatch()
        try await send(batch, to: client)
    }

    /// A batch of these faces besides.
    mutating func delete(_ faces: [Face.ID], from client: MienClient) async throws {
        try await send(Batch(faces: faces, version: nil), to: client)
    }

    private mutating func send(_ batch: Batch, to client: MienClient) async throws {
        let began = ContinuousClock.now
        if let version = batch.version {
            _ = try await client.enrol(
                batch.faces.map { NewFace(id: $0, metadata: Face.Metadata(externalImageID: "version-\(version)")) },
                embeddings: Embeddings(
                    dimension: FaceWriter.dimension,
                    values: batch.faces.flatMap {
                        FaceLedger.embedding($0, version: version, dimension: FaceWriter.dimension)
                    }
                ),
                into: FaceWriter.collection,
                model: FaceWriter.model
            )
        } else {
            _ = try await client.deleteFaces(batch.faces, from: FaceWriter.collection)
        }
        note(batch, began: began, ended: .now)
    }

    /// What is to be written next; every fifth time it is a deletion.
    mutating func nextBatch() -> Batch {
        let batch = times.count + 1
        let isDeletion = batch % 5 == 0
        var faces = (0..<8).compactMap { _ in ids.randomElement(using: &random) }
        if !isDeletion {
            let new = (0..<8).map { _ in Face.ID(high: random.next(), low: random.next()) }
            ids += new
            faces += new
        }
        return Batch(faces: Array(Set(faces)).sorted(), version: isDeletion ? nil : batch)
    }

    /// A batch was acknowledged.
    ///
    /// - Parameters:
    ///   - began: before it was sent.
    ///   - ended: after its answer came, and before the next one begins.
    mutating func note(_ batch: Batch, began: Instant, ended: Instant) {
        times.append(Times(began: began, ended: ended))
        for face in batch.faces { history[face, default: []].append((times.count, batch.version)) }
    }

    // MARK: Checking

    /// Why what is stored of this writer's faces is no cut of its history less what was deleted later; nil when it is.
    ///
    /// - Parameters:
    ///   - stored: every face of the collection; this writer's are taken out of it.
    ///   - bounds: between which the moment of the cut is, the first not before its command began and the last not
    ///     after it ended; nil for now, when everything that was acknowledged is due, and nothing else.
    func fault(in stored: inout [Face.ID: Face], between bounds: ClosedRange<Instant>? = nil) -> String? {
        Self.fault(of: [self], in: &stored, between: bounds)
    }

    /// The same of several writers, whose cuts must be of one moment.
    static func fault(
        of writers: [HistoryWriter],
        in stored: inout [Face.ID: Face],
        between bounds: ClosedRange<Instant>? = nil
    ) -> String? {
        var found: [[Face.ID: Int]] = []
        var faults: [String] = []
        for writer in writers {
            let taken = writer.take(from: &stored)
            found.append(taken.versions)
            if let fault = taken.fault { faults.append(fault) }
        }
        return faults.first ?? fault(of: writers, in: found, between: bounds)
    }

    /// - Parameter found: of each writer's faces, the version of those that are stored.
    static func fault(
        of writers: [HistoryWriter],
        in found: [[Face.ID: Int]],
        between bounds: ClosedRange<Instant>? = nil
    ) -> String? {
        let now = ContinuousClock.now
        let bounds = bounds ?? now...now
        var common = [bounds]
        for (writer, versions) in zip(writers, found) {
            let moments = writer.moments(of: versions, between: bounds)
            let name = "of writer \(writer.number) \(versions.count) of \(writer.ids.count) faces are there, which"
            if moments.isEmpty {
                return "\(name) is no moment of its \(writer.times.count) batches that may have been the one"
            }
            common = common.flatMap { span in
                moments.filter { $0.overlaps(span) }.map { $0.clamped(to: span) }
            }
            if common.isEmpty { return "\(name) is another moment than what is there of the writers before it" }
        }
        return nil
    }

    /// - Returns: the versions of those of its faces that are stored; and what is wrong with one by itself, as a
    ///   sentence.
    private func take(from stored: inout [Face.ID: Face]) -> (versions: [Face.ID: Int], fault: String?) {
        var versions: [Face.ID: Int] = [:]
        var fault: String?
        for id in ids {
            guard let face = stored.removeValue(forKey: id) else { continue }
            guard let version = Int((face.metadata.externalImageID ?? "").dropFirst("version-".count)) else {
                fault = fault ?? "the face \(id) has lost its name"
                continue
            }
            let wanted = FaceLedger.embedding(id, version: version, dimension: FaceWriter.dimension)
            let difference = zip(wanted, face.embedding ?? []).map { abs($0 - $1) }.max() ?? 1
            // Half of the last place of float16 at most, and the rounding of the length.
            if face.embedding?.count != wanted.count || difference > 6e-4 {
                fault = fault ?? "the face \(id) has another embedding, off by \(difference)"
            }
            versions[id] = version
        }
        return (versions, fault)
    }

    /// When a cut may have been made that has just these versions, as spans of time.
    private func moments(
        of versions: [Face.ID: Int],
        between bounds: ClosedRange<Instant>
    ) -> [ClosedRange<Instant>] {
        var moments: [ClosedRange<Instant>] = []
        func add(from first: Instant?, to last: Instant?, _ isCut: () -> Bool) {
            let first = max(first ?? bounds.lowerBound, bounds.lowerBound)
            let last = min(last ?? bounds.upperBound, bounds.upperBound)
            if first <= last, isCut() { moments.append(first...last) }
        }
        for batch in 0...times.count {
            let current = batch == 0 ? nil : times[batch - 1]
            let next = batch == times.count ? nil : times[batch]
            // What was acknowledged before the cut is in it, and nothing that was sent after it.
            add(from: current?.began, to: next?.ended) {
                ids.allSatisfy { versions[$0] == version(of: $0, after: batch) }
            }
            guard let next else { continue }
            // A part of the next one is there: it was under way.
            add(from: next.began, to: next.ended) {
                ids.allSatisfy { id in
                    versions[id] == version(of: id, after: batch) || versions[id] == version(of: id, after: batch + 1)
                }
            }
        }
        return moments
    }

    /// What a restored cut holds of a face: nothing when it was deleted after the cut.
    private func version(of face: Face.ID, after batch: Int) -> Int? {
        let changes = history[face] ?? []
        if changes.contains(where: { $0.batch > batch && $0.version == nil }) { return nil }
        return changes.last { $0.batch <= batch }?.version
    }
}
