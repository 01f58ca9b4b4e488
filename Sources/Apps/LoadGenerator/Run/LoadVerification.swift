package import MienClient
import Synchronization
import VectorMath

/// Checks what a cluster holds when a load is over, against what it acknowledged.
package struct LoadVerification: Sendable {
    /// What can be stated beforehand of how much is read.
    package struct Limits: Sendable {
        /// Filled faces that nobody wrote, read without their embeddings; evenly over all of them.
        package var untouchedCount = 1_000_000
        /// Of those, read with their embeddings.
        package var embeddingCount = 2560
        /// Deleted faces searched for with their own embeddings; evenly over all of them.
        package var deletedSearchCount = 2000
        /// Faces that are there for certain searched for with their own embeddings: so many of those that the load
        /// wrote and of those that nobody wrote; evenly over each.
        package var liveSearchCount = 500

        package init() {}
    }

    private static let readCount = 1000
    static let photoCount = 50
    /// Between two exact searches for one probe, in one request or another: sums in another order.
    private static let similarityTolerance: Float = 1e-4
    /// Of the faces whose embeddings are compared where blocks are made for each of them.
    private static let scatteredShare = 8
    /// Of a component: half of the last place of float16 below 1, and the rounding of the length.
    private static let tolerance: Float = 6e-4

    let client: MienClient
    let collection: String
    let model: String
    let population: LoadPopulation
    private let pool: ProbePool
    let plan: LoadPlan
    let limits: Limits

    /// - Parameter client: one that tries again for a while, since the last fault may have been a moment ago.
    package init(
        client: MienClient,
        collection: String,
        model: String,
        population: LoadPopulation,
        pool: ProbePool,
        plan: LoadPlan,
        limits: Limits = Limits()
    ) {
        self.client = client
        self.collection = collection
        self.model = model
        self.population = population
        self.pool = pool
        self.plan = plan
        self.limits = limits
    }

    /// Checks everything that can be checked; what cannot is told in the report.
    ///
    /// - Parameter progress: called with the name of each part before it.
    package func run(_ recorder: LoadRecorder, progress: (String) -> Void) async -> TruthReport {
        let (ledger, samples, before) = recorder.state.withLock { ($0.ledger, $0.samples, $0.truth) }
        var report = before
        let written = ledger.writtenFaces
        report.writtenFaceCount = written.count
        report.uncertainFaceCount = ledger.uncertainCount
        report.leastFaceChange = ledger.currentBounds.certainCount - population.filledCount
        report.mostFaceChange = ledger.currentBounds.possibleCount - population.filledCount
        let parts: [(String, (inout TruthReport) async throws(MienClientError) -> Void)] = [
            ("written faces", { report throws(MienClientError) in try await checkWritten(written, ledger, &report) }),
            ("untouched faces", { report throws(MienClientError) in try await checkUntouched(ledger, &report) }),
            ("deleted faces", { report throws(MienClientError) in try await searchDeleted(written, ledger, &report) }),
            ("searches", { report throws(MienClientError) in try await searchLive(written, ledger, &report) }),
            (
                "sampled answers",
                { report throws(MienClientError) in try await compare(samples, recorder, ledger, &report) }
            ),
            ("number of faces", { report throws(MienClientError) in try await checkCount(ledger, &report) }),
        ]
        for (name, check) in parts {
            progress(name)
            do throws(MienClientError) {
                try await check(&report)
            } catch {
                report.unchecked.append("\(name): \(error)")
            }
        }
        return report
    }

    // MARK: Reading back

    private func checkWritten(
        _ written: [Int],
        _ ledger: WriteLedger,
        _ report: inout TruthReport
    ) async throws(MienClientError) {
        for part in Self.parts(of: written, Self.readCount / 2) {
            let stored = try await read(part, withEmbeddings: true)
            let images = part.map { face in
                stored[face].map { LoadPopulation.image(named: $0.metadata.imageID) ?? face } ?? face
            }
            let rows = ImageRows(population, images.filter { $0 < population.imageCount })
            for (face, image) in zip(part, images) {
                report.readBackCount += 1
                report.readableCount += 1
                let allowed = ledger.contents(of: face)
                guard let found = stored[face] else {
                    if !allowed.contains(.absent) {
                        report.findings.add(.lost, "\(population.faceID(face)) is not there; it may hold \(allowed)")
                    }
                    continue
                }
                guard allowed.contains(.image(image)) else {
                    let kind: TruthFindings.Kind = allowed == [.absent] ? .resurrected : .wrongContent
                    report.findings.add(kind, "\(found.id) holds image \(image); it may hold \(allowed)")
                    continue
                }
                check(found, image: image, rows, &report)
            }
        }
    }

    private func checkUntouched(_ ledger: WriteLedger, _ report: inout TruthReport) async throws(MienClientError) {
        // Every part of a load knows of its own places of the order.
        let order = BaseOrder(count: population.filledCount)
        let ownCount = (order.count - plan.part + plan.partCount - 1) / plan.partCount
        let most = max(1, limits.untouchedCount / plan.partCount)
        let step = max(1, (ownCount + most - 1) / most)
        report.readableCount += ownCount - ledger.writtenFaces.count { $0 < order.count }
        let faces = stride(from: plan.part, to: order.count, by: step * plan.partCount).map(order.face)
            .filter(ledger.isUntouched)
        for part in Self.parts(of: faces, Self.readCount) {
            let stored = try await read(part, withEmbeddings: false)
            for face in part {
                report.readBackCount += 1
                guard let found = stored[face] else {
                    report.findings.add(.lost, "\(population.faceID(face)) is not there and was never written")
                    continue
                }
                if found.metadata != population.metadata(ofImage: face) {
                    report.findings.add(.wrongContent, "\(found.id) has other metadata and was never written")
                }
            }
        }
        guard plan.isAlone else {
            try await checkEmbeddings(of: faces, &report)
            return
        }
        let blockCount = order.count / ImageStock.blockImageCount
        let wantedCount = limits.embeddingCount / ImageStock.blockImageCount
        for block in stride(from: 0, to: blockCount, by: max(1, blockCount / max(1, wantedCount))) {
            let first = block * ImageStock.blockImageCount
            let part = (first..<first + ImageStock.blockImageCount).filter(ledger.isUntouched)
            let stored = try await read(part, withEmbeddings: true)
            let rows = ImageRows(population, part)
            for face in part { if let found = stored[face] { check(found, image: face, rows, &report) } }
        }
    }

    /// Compares the embeddings of some scattered faces; each costs the making of a block of images, so that they are
    /// fewer than those of whole blocks.
    private func checkEmbeddings(of faces: [Int], _ report: inout TruthReport) async throws(MienClientError) {
        let wantedCount = max(1, limits.embeddingCount / Self.scatteredShare / plan.partCount)
        let step = max(1, faces.count / wantedCount)
        for part in Self.parts(of: stride(from: 0, to: faces.count, by: step).map { faces[$0] }, Self.readCount / 4) {
            let stored = try await read(part, withEmbeddings: true)
            let rows = ImageRows(population, part)
            for face in part { if let found = stored[face] { check(found, image: face, rows, &report) } }
        }
    }

    /// Whether metadata and embedding are those of one image.
    private func check(_ found: Face, image: Int, _ rows: ImageRows, _ report: inout TruthReport) {
        report.embeddingCount += 1
        if found.metadata != population.metadata(ofImage: image) {
            report.findings.add(.wrongContent, "\(found.id) has metadata of another image than \(image)")
        }
        let wanted = rows[image]
        let difference = zip(wanted, found.embedding ?? []).map { abs($0 - $1) }.max() ?? 1
        if found.embedding?.count != wanted.count || difference > Self.tolerance {
            report.findings.add(.wrongContent, "\(found.id) has another embedding than that of image \(image)")
        }
    }

    private func read(_ faces: [Int], withEmbeddings: Bool) async throws(MienClientError) -> [Int: Face] {
        let ids = faces.map(population.faceID)
        let found = try await client.faces(ids, in: collection, includesEmbeddings: withEmbeddings)
        let stored = Dictionary(found.map { ($0.id, $0) }) { first, _ in first }
        var byNumber: [Int: Face] = [:]
        for (face, id) in zip(faces, ids) { byNumber[face] = stored[id] }
        return byNumber
    }

    // MARK: Searching

    /// Searches exactly for the probes of sampled answers: what nobody wrote and is more similar than the last match of
    /// an answer had to be in it. What exact answers lack is a finding, and of others more mates than their effort
    /// allows.
    private func compare(
        _ samples: [SampledAnswer],
        _ recorder: LoadRecorder,
        _ ledger: WriteLedger,
        _ report: inout TruthReport
    ) async throws(MienClientError) {
        for part in Self.parts(of: samples, Self.photoCount) {
            let results = try await client.search(
                collection,
                probes: pool.probes(part.map(\.probe)),
                model: model,
                options: SearchOptions(
                    matchLimit: plan.options.matchLimit,
                    threshold: plan.options.threshold,
                    effort: .exact
                )
            )
            for (sample, outcome) in zip(part, results.outcomes) {
                guard case .matches(let matches) = outcome else { continue }
                report.comparedAnswerCount += 1
                let isCut = sample.matches.count >= plan.options.matchLimit
                let last = isCut ? sample.matches.last?.similarity ?? -1 : -2
                let answered = Set(sample.matches.map(\.id))
                let person = pool.truths[sample.probe].person
                var (required, found) = (0, 0)
                for match in matches where match.similarity > last || answered.contains(match.id) {
                    // What is as it was filled now was so all the time.
                    guard match.metadata.imageID == nil,
                        let face = population.filledFace(match.id, person: match.metadata.personID),
                        ledger.isUntouched(face)
                    else { continue }
                    let isFound = answered.contains(match.id)
                    let isMate = person != nil && match.metadata.personID == person
                    required += 1
                    if isFound { found += 1 }
                    if isMate { report.requiredMateCount += 1 }
                    if isMate, isFound { report.foundMateCount += 1 }
                    if plan.options.effort == .exact, !isFound, match.similarity > last + Self.similarityTolerance {
                        report.findings.add(.unfound, "\(match.id) was not in an exact answer, and had to be")
                    }
                }
                report.requiredMatchCount += required
                report.foundMatchCount += found
                recorder.noteCompared(required: required, found: found, at: sample.at)
            }
        }
        judgeMisses(
            report.requiredMateCount - report.foundMateCount,
            of: report.requiredMateCount,
            "mates were not in sampled answers of \(plan.options.effort), and had to be",
            &report
        )
    }

    /// Holds the number of faces against what all parts of a load have told together; when all of them are over.
    package func checkCount(ofMerged report: inout TruthReport) async {
        guard let least = report.leastFaceChange, let most = report.mostFaceChange else {
            report.unchecked.append("number of faces: a part does not tell what it wrote")
            return
        }
        do throws(MienClientError) {
            let count = try await count(&report)
            judge(
                count,
                least: population.filledCount + least,
                most: population.filledCount + most,
                &report
            )
        } catch {
            report.unchecked.append("number of faces: \(error)")
        }
    }

    private func checkCount(_ ledger: WriteLedger, _ report: inout TruthReport) async throws(MienClientError) {
        // Other parts of the load may be writing yet.
        guard plan.isAlone else { return }
        let bounds = ledger.currentBounds
        let count = try await count(&report)
        judge(count, least: bounds.certainCount, most: bounds.possibleCount, &report)
    }

    private func count(_ report: inout TruthReport) async throws(MienClientError) -> Int {
        let results = try await client.search(
            collection,
            probes: pool.probes([0]),
            model: model,
            options: SearchOptions(matchLimit: 1, effort: .exact)
        )
        if results.coverage.hasLoss {
            report.findings.add(.lost, "the cluster says that faces of the collection were given up")
        }
        return Int(clamping: results.coverage.facesTotal)
    }

    private func judge(_ count: Int, least: Int, most: Int, _ report: inout TruthReport) {
        report.finalFaceCount = count
        if count < least {
            report.findings.add(.lost, "\(count) faces are there; at least \(least) were acknowledged")
        }
        if count > most { report.findings.add(.resurrected, "\(count) faces are there; at most \(most) can be") }
    }

    private static func parts<Element>(of list: [Element], _ count: Int) -> [[Element]] {
        stride(from: 0, to: list.count, by: count).map { Array(list[$0..<min(list.count, $0 + count)]) }
    }
}
