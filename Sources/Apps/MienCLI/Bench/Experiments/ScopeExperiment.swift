import InvertedFileIndex
import VectorMath

/// Compares one codebook for a collection with a codebook of each of its partitions, at equal scan.
struct ScopeExperiment {
    let gallery: MeasuredGallery
    let partitionCount: Int
    /// Of a partition's codebook; of the collection's as many, and as many times more as there are partitions.
    let listCount: Int
    let candidateCount: Int
    let seed: UInt64

    private static let visitedShares = [0.05, 0.10, 0.20, 0.35]

    /// What a kind of codebook gave, over all partitions.
    private struct Result {
        let name: String
        var quality: CodeQuality
        /// Of each mate: its band, and the share of the partition that is visited with its list.
        var visits: [(band: Int, share: Double)] = []
    }

    func tables(progress: (String) -> Void) throws(CommandFailure) -> [ResultTable] {
        var clock = CPUClock()
        let partitions = divided()
        // A collection trains as many more lists as it has more rows.
        let shared = try [listCount, listCount * partitionCount].map { count throws(CommandFailure) in
            try gallery.codebook(listCount: count, seed: seed)
        }
        let names = shared.map { "of the collection, \($0.listCount)" } + ["of each partition, \(listCount)"]
        var results = names.map { Result(name: $0, quality: CodeQuality(candidateCount: candidateCount)) }
        for rows in partitions {
            let own = try gallery.codebook(of: rows, listCount: listCount, seed: seed)
            for (index, codebook) in (shared + [own]).enumerated() {
                measure(rows, PackedCodes(faces: gallery.faces, rows: rows, codebook: codebook), &results[index])
            }
        }
        progress("\(gallery.model.rawValue): scopes of the codebook: \(clock.lap())")
        return tables(results)
    }

    /// Rows of each partition, by a hash of the row as ids are hashed.
    private func divided() -> [[Int]] {
        var partitions = [[Int]](repeating: [], count: partitionCount)
        for row in 0..<gallery.faceCount {
            var hash = SplitMix64(seed: UInt64(row))
            partitions[Int(hash.next() % UInt64(partitionCount))].append(row)
        }
        return partitions
    }

    private func measure(_ rows: [Int], _ codes: PackedCodes, _ result: inout Result) {
        let members = Set(rows)
        let codebook = codes.codebook
        var shares = [Double](repeating: 0, count: codebook.listCount)
        for list in 0..<codebook.listCount { shares[list] = Double(codes.rowCount(ofList: list)) / Double(rows.count) }
        unsafe gallery.forEachProbe { probe, similarities in
            let truth = gallery.truths[probe]
            let mateRow = gallery.probes.mates[probe]
            let band = gallery.probes.band(ofProbe: probe)
            let mate = truth.holdsMate && members.contains(mateRow) ? (mateRow, band) : nil
            let (ids, estimates) = codes.estimates(of: gallery.probe(probe))
            unsafe result.quality.add(
                rows: ids,
                estimates: estimates,
                similarities: similarities,
                neighbours: truth.neighbours.filter { members.contains($0) },
                mate: mate
            )
            if mate != nil {
                result.visits.append((band, visitedShare(ofRow: mateRow, probe: gallery.probe(probe), codes, shares)))
            }
        }
    }

    /// The share of the partition in the lists at least as near the probe as the row's.
    private func visitedShare(ofRow row: Int, probe: [Float], _ codes: PackedCodes, _ shares: [Double]) -> Double {
        let codebook = codes.codebook
        let scores = codebook.quantizer.scores(rotated: codebook.rotate(probes: probe)[...])
        let embedding = Array(gallery.faces[row * codebook.dimension..<(row + 1) * codebook.dimension])
        let list = Int(codebook.encode(embeddings: embedding).lists[0])
        return scores.indices.reduce(0) { sum, other in
            scores[other] > scores[list] || other == list ? sum + shares[other] : sum
        }
    }

    private func tables(_ results: [Result]) -> [ResultTable] {
        var codes = ResultTable(
            "scope_codes",
            title:
                "\(gallery.model.rawValue), \(partitionCount) partitions: mates among \(candidateCount) candidates "
                + "of a partition, by similarity from",
            columns: [
                .init("codebook", "codebook, lists"), .init("error"), .init("candidates_95", "C .95"),
                .init("candidates_99", "C .99"),
            ] + ResultTable.Column.bands
        )
        var lists = ResultTable(
            "scope_lists",
            title: "\(gallery.model.rawValue): mates in a visited list, by similarity from",
            columns: [.init("codebook", "codebook, lists"), .init("visited"), .init("mates", "all")]
                + ResultTable.Column.bands
        )
        for result in results {
            codes.append(
                [
                    .text(result.name), .number(result.quality.errorDeviation, decimals: 4),
                    .count(result.quality.candidates(forRecall: 0.95)),
                    .count(result.quality.candidates(forRecall: 0.99)),
                ] + result.quality.mateCells
            )
        }
        for share in Self.visitedShares {
            for result in results {
                let found = result.visits.filter { $0.share <= share }
                lists.append(
                    [.text(result.name), .share(share), .found(found.count, of: result.visits.count)]
                        + (0..<SimilarityBands.count).map { band in
                            .found(found.count { $0.band == band }, of: result.visits.count { $0.band == band })
                        }
                )
            }
        }
        return [codes, lists]
    }
}
