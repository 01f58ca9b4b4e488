import MienClient
import Synchronization

extension LoadRecorder {
    /// What was true when a read began.
    struct ReadStart: Sendable {
        var at: Duration
        var bounds: WriteLedger.Bounds
    }

    func startRead(at: Duration) -> ReadStart {
        state.withLock { ReadStart(at: at, bounds: $0.ledger.currentBounds) }
    }

    /// Holds an answer against the truth.
    ///
    /// - Parameters:
    ///   - probes: numbers of the pool's probes, one for each outcome; nil when the probe was a stored face.
    ///   - sampledAt: when its call was to begin, if the answer may be one of those compared with exact searches.
    func judge(
        _ results: SearchResults,
        probes: [Int]?,
        since start: ReadStart,
        _ population: LoadPopulation,
        _ pool: ProbePool,
        sampledAt: Duration?
    ) {
        var unknown: [SearchResults.Match] = []
        state.withLock { state in
            state.truth.checkedAnswerCount += 1
            judgeCoverage(results.coverage, since: start, &state)
            for (row, outcome) in results.outcomes.enumerated() {
                guard case .matches(let matches) = outcome else { continue }
                judge(matches, since: start, population, &unknown, &state)
                guard let probe = probes?[row] else { continue }
                judgeMates(matches, pool.truths[probe], &state)
                if let sampledAt, results.coverage.isFull { sample(probe, matches, at: sampledAt, &state) }
            }
        }
        // Faces that were never written are looked up without the lock.
        for match in unknown where !isKnown(match, population) {
            state.withLock { $0.truth.findings.add(.foreign, "\(match.id) was found") }
        }
    }

    /// Notes that a stored face was not found as a probe.
    func judgeAbsence(of face: Int, id: Face.ID) {
        state.withLock { state in
            // Of all faces, only those are asked for that nobody had written then.
            if state.ledger.isUntouched(face) { state.truth.findings.add(.lost, "\(id) is not there as a probe") }
        }
    }

    private func judge(
        _ matches: [SearchResults.Match],
        since start: ReadStart,
        _ population: LoadPopulation,
        _ unknown: inout [SearchResults.Match],
        _ state: inout State
    ) {
        state.truth.checkedMatchCount += matches.count
        var seen: Set<Face.ID> = []
        for match in matches {
            if !seen.insert(match.id).inserted {
                state.truth.findings.add(.duplicate, "\(match.id) twice for one probe")
            }
            guard let face = state.numbers[match.id] else {
                unknown.append(match)
                continue
            }
            let image = LoadPopulation.image(named: match.metadata.imageID) ?? face
            guard state.ledger.allows(.image(image), of: face, since: start.at) else {
                let isDeleted = state.ledger.contents(of: face) == [.absent]
                state.truth.findings.add(
                    isDeleted ? .resurrected : .wrongContent,
                    "\(match.id) was found with image \(image) by a search that began at \(start.at); "
                        + "it may hold \(state.ledger.contents(of: face))"
                )
                continue
            }
            if match.metadata != population.metadata(ofImage: image) {
                state.truth.findings.add(.wrongContent, "\(match.id) was found with metadata of another image")
            }
        }
    }

    private func judgeMates(_ matches: [SearchResults.Match], _ truth: ProbePool.Truth, _ state: inout State) {
        guard let person = truth.person,
            truth.mates.contains(where: { isOwn($0) && state.ledger.isUntouched($0) })
        else { return }
        state.truth.matedSearchCount += 1
        if matches.contains(where: { $0.metadata.personID == person }) { state.truth.mateFoundCount += 1 }
    }

    /// Keeps an even sample of all answers (Vitter's algorithm R).
    private func sample(_ probe: Int, _ matches: [SearchResults.Match], at: Duration, _ state: inout State) {
        state.sampledFromCount += 1
        let answer = SampledAnswer(
            probe: probe,
            at: at,
            matches: matches.map { SampledAnswer.Match(id: $0.id, similarity: $0.similarity) }
        )
        if state.samples.count < plan.comparedAnswerLimit {
            state.samples.append(answer)
        } else {
            let place = Int.random(in: 0..<state.sampledFromCount, using: &state.random)
            if place < state.samples.count { state.samples[place] = answer }
        }
    }

    /// Whether a match that this load did not write is a filled face as it was filled, or written by another part.
    private func isKnown(_ match: SearchResults.Match, _ population: LoadPopulation) -> Bool {
        guard let image = LoadPopulation.image(named: match.metadata.imageID) else {
            return population.filledFace(match.id, person: match.metadata.personID) != nil
        }
        let block = image / ImageStock.blockImageCount - population.firstWriteBlock
        return block >= 0 && image < population.imageCount && block % plan.partCount != plan.part
    }
}
