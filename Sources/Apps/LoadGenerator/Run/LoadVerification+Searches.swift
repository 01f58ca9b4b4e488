package import MienClient

/// Searches for faces with their own embeddings, when a load is over.
extension LoadVerification {
    /// Of a stored embedding to itself, float16 or not: at least.
    private static let ownSimilarity: Float = 0.999
    /// More than there are copies of a row in a generated gallery, but for a rare one.
    private static let matchLimit = 20
    /// One photo of so many is searched for exactly where not all are.
    private static let exactInterval = 8

    /// A face that is searched for, and the image that it has or had last.
    private struct Sought {
        var face: Int
        var image: Int
    }

    /// Searches for deleted faces; an eighth of the photos exactly.
    func searchDeleted(
        _ written: [Int],
        _ ledger: WriteLedger,
        _ report: inout TruthReport
    ) async throws(MienClientError) {
        let deleted = written.compactMap { face -> Sought? in
            guard ledger.contents(of: face) == [.absent], let image = ledger.lastImage(of: face) else { return nil }
            return Sought(face: face, image: image)
        }
        report.deletedFaceCount = deleted.count
        report.deletedExactCount = 0
        let sample = Self.even(deleted, limits.deletedSearchCount)
        for (number, part) in Self.photos(of: sample).enumerated() {
            let isExact = number.isMultiple(of: Self.exactInterval)
            let answers = try await search(part, isExact ? .exact : plan.options.effort)
            for (sought, matches) in zip(part, answers) {
                // What is refused as a probe was not searched for.
                guard let matches else { continue }
                report.deletedSearchCount += 1
                if isExact || plan.options.effort == .exact {
                    report.deletedExactCount = (report.deletedExactCount ?? 0) + 1
                }
                let id = population.faceID(sought.face)
                if matches.contains(where: { $0.id == id }) {
                    report.findings.add(.resurrected, "\(id) was deleted and is found")
                }
            }
        }
    }

    /// Searches for faces that are there for certain, exactly and with the effort of the load.
    func searchLive(
        _ written: [Int],
        _ ledger: WriteLedger,
        _ report: inout TruthReport
    ) async throws(MienClientError) {
        let present = written.compactMap { face -> Sought? in
            let contents = ledger.contents(of: face)
            guard contents.count == 1, case .image(let image) = contents[0] else { return nil }
            return Sought(face: face, image: image)
        }
        // Every part of a load knows of its own places of the order.
        let order = BaseOrder(count: population.filledCount)
        let ownCount = (order.count - plan.part + plan.partCount - 1) / plan.partCount
        let limit = max(1, limits.liveSearchCount / plan.partCount)
        let chosenCount = min(limit, ownCount)
        let untouched = (0..<chosenCount).map { number in
            order.face(at: plan.part + number * ownCount / chosenCount * plan.partCount)
        }.filter(ledger.isUntouched)
        var own = TruthReport.OwnSearches()
        own.knownCount = present.count + ownCount - written.count { $0 < order.count }
        let sample = Self.even(present, limit) + untouched.map { Sought(face: $0, image: $0) }
        for part in Self.photos(of: sample) {
            let exact = try await search(part, .exact)
            var answers = exact
            if plan.options.effort != .exact { answers = try await search(part, plan.options.effort) }
            for (sought, (exact, answer)) in zip(part, zip(exact, answers)) {
                let id = population.faceID(sought.face)
                // Among so many copies of its row the face may be the next.
                let copyCount = exact?.count { $0.similarity >= Self.ownSimilarity } ?? 0
                guard copyCount < Self.matchLimit else { continue }
                own.searchCount += 1
                if answer?.contains(where: { $0.id == id }) ?? false { own.foundCount += 1 }
                guard let match = exact?.first(where: { $0.id == id }) else {
                    report.findings.add(.unfound, "\(id) is not found by an exact search with its own embedding")
                    continue
                }
                if match.similarity < Self.ownSimilarity {
                    report.findings.add(
                        .wrongContent,
                        "\(id) is found with a similarity of \(match.similarity) to its own embedding"
                    )
                }
            }
            report.ownSearches = own
        }
        judgeMisses(
            own.searchCount - own.foundCount,
            of: own.searchCount,
            "faces were not found by \(plan.options.effort) with their own embeddings",
            &report
        )
    }

    /// Holds the number of mates that were missed against what the effort of the load allows.
    ///
    /// - Parameter what: says of which mates, and where they were missed.
    func judgeMisses(_ missedCount: Int, of count: Int, _ what: String, _ report: inout TruthReport) {
        guard let most = plan.options.effort.mostMissed(of: count), missedCount > most else { return }
        report.findings.add(.unfound, "\(missedCount) of \(count) \(what); at most \(most) may be missed")
    }

    /// Searches for faces with the embeddings of their images.
    ///
    /// - Returns: the best matches of each; nil for one that was refused as a probe.
    private func search(
        _ faces: [Sought],
        _ effort: SearchOptions.Effort
    ) async throws(MienClientError) -> [[SearchResults.Match]?] {
        let rows = ImageRows(population, faces.map(\.image))
        let results = try await client.search(
            collection,
            probes: Embeddings(dimension: population.dimension, values: faces.flatMap { rows[$0.image] }),
            model: model,
            options: SearchOptions(matchLimit: Self.matchLimit, effort: effort)
        )
        return results.outcomes.map { outcome -> [SearchResults.Match]? in
            guard case .matches(let matches) = outcome else { return nil }
            return matches
        }
    }

    /// At most so many of a list, evenly over all of it.
    private static func even<Element>(_ list: [Element], _ limit: Int) -> [Element] {
        guard list.count > limit else { return list }
        return (0..<limit).map { list[$0 * list.count / limit] }
    }

    /// A list as photos, each with faces from all over it.
    private static func photos<Element>(of list: [Element]) -> [[Element]] {
        let count = (list.count + photoCount - 1) / photoCount
        return (0..<count).map { first in stride(from: first, to: list.count, by: count).map { list[$0] } }
    }
}

extension SearchOptions.Effort {
    /// How many of so many mates may be missed before that is a finding: three times as many as the effort allows, four
    /// standard deviations of that, and one. Nil where nothing is promised; what `exact` misses is a finding each.
    package func mostMissed(of count: Int) -> Int? {
        let share: Double
        switch self {
        case .exact, .lists: return nil
        case .full: share = 0.01
        case .recall(let target): share = 1 - target
        }
        let allowed = 3 * share * Double(count)
        return Int(allowed + 4 * allowed.squareRoot() + 1)
    }
}
