import InvertedFileIndex

/// Compares ways to code embeddings on one gallery: every probe's estimates of all faces against the similarities.
struct CodeExperiment {
    let gallery: MeasuredGallery
    let plans: [CodePlan]
    let candidateCount: Int
    let seed: UInt64

    func table(progress: (String) -> Void) throws(CommandFailure) -> ResultTable {
        var clock = CPUClock()
        let variants = try CodeVariant.variants(of: gallery, plans: plans, seed: seed)
        let all = Array(0..<gallery.faceCount)
        let codes = variants.map { PackedCodes(faces: gallery.faces, rows: all, codebook: $0.codebook) }
        progress("\(gallery.model.rawValue): \(variants.count) kinds of codes: \(clock.lap())")
        var qualities = variants.map { _ in CodeQuality(candidateCount: candidateCount) }
        unsafe gallery.forEachProbe { probe, similarities in
            let truth = gallery.truths[probe]
            let mate = truth.holdsMate ? (gallery.probes.mates[probe], gallery.probes.band(ofProbe: probe)) : nil
            for variant in variants.indices {
                let (rows, estimates) = codes[variant].estimates(of: gallery.probe(probe))
                unsafe qualities[variant].add(
                    rows: rows,
                    estimates: estimates,
                    similarities: similarities,
                    neighbours: truth.neighbours,
                    mate: mate
                )
            }
        }
        progress("\(gallery.model.rawValue): \(gallery.probes.count) probes: \(clock.lap())")
        var table = ResultTable(
            "codes_\(gallery.model.rawValue)",
            title: "\(gallery.model.rawValue): mates among \(candidateCount) candidates, by similarity from",
            columns: [
                .init("bits"), .init("components"), .init("bytes"), .init("error"), .init("mate_bias", "mate bias"),
                .init("candidates_95", "C .95"), .init("candidates_99", "C .99"),
            ] + ResultTable.Column.bands
        )
        table.append(
            [.text("mates"), .text(""), .none, .none, .none, .none, .none]
                + gallery.mateCounts.map { .count($0) }
        )
        for (variant, quality) in zip(variants, qualities) {
            table.append(
                [
                    .text(CodeVariant.bitsText(variant.codebook.plan)), .text(variant.name), .count(variant.byteCount),
                    .number(quality.errorDeviation, decimals: 4), .number(quality.mateBias, decimals: 4),
                    .count(quality.candidates(forRecall: 0.95)), .count(quality.candidates(forRecall: 0.99)),
                ] + quality.mateCells
            )
        }
        return table
    }
}

extension PackedCodes {
    /// The estimates of all rows.
    func estimates(of probe: [Float]) -> (rows: [UInt32], estimates: [Float]) {
        let scan = CodeProbe(probe, codebook: codebook)
        var rows: [UInt32] = []
        var estimates: [Float] = []
        rows.reserveCapacity(rowCount)
        estimates.reserveCapacity(rowCount)
        forEachBlock(ofLists: 0..<codebook.listCount) { block in
            let found = unsafe scan.scan(block)
            unsafe rows.append(contentsOf: found.rows)
            unsafe estimates.append(contentsOf: found.estimates)
        }
        return (rows, estimates)
    }
}
