import MienClient

/// What an index learnt, as text and as JSON: the codes, and the calibration that turns a recall target into work.
enum CodebookReport {
    static func json(_ codebook: CollectionInfo.Codebook) -> JSONValue {
        .object([
            ("generation", .count(codebook.generation)), ("lists", .count(codebook.listCount)),
            ("coded_dimension", .count(codebook.codedDimension)),
            ("code_bytes", .count(codebook.codeByteCount)),
            ("energy_share", .number(codebook.energyShare)), ("sample", .count(codebook.sampleCount)),
            ("calibration_probes", .count(codebook.calibrationProbeCount)),
            (
                "calibration",
                .array(
                    codebook.calibration.map {
                        .object([
                            ("least_similarity", .number($0.leastSimilarity)), ("recall", .number($0.recall)),
                            ("visited_share", .number($0.visitedShare)),
                        ])
                    }
                )
            ),
        ])
    }

    static func json(_ standing: CollectionInfo.CodebookStanding) -> JSONValue {
        .object([
            ("cause", .string(standing.cause.rawValue)), ("faces", .count(standing.faceCount)),
            ("recent_faces", .count(standing.recentFaceCount)), ("energy_ratio", .number(standing.energyRatio)),
            ("imbalance_ratio", .number(standing.imbalanceRatio)),
            ("live_recall", standing.liveRecall.map(RecallText.json) ?? .null),
            ("miss_ratio", .number(standing.missRatio)),
        ])
    }

    /// Why there is this codebook, and how well it fits.
    static func facts(_ standing: CollectionInfo.CodebookStanding) -> [[String]] {
        let size = NumberText.counted(standing.faceCount, "face")
        let cause =
            switch standing.cause {
            case .first: "the collection had reached \(size)"
            case .growth: "the collection had grown to \(size)"
            case .energy: "the faces that came had less of their energy in the coded components, at \(size)"
            case .imbalance: "lists had become uneven, at \(size)"
            case .recall: "searches missed more mates than the calibration promised, at \(size)"
            case .request: "somebody asked for it, at \(size)"
            }
        var fit = "\(NumberText.counted(standing.recentFaceCount, "face")) since"
        if standing.recentFaceCount > 0 {
            fit += ": \(NumberText.fixed(standing.energyRatio * 100, 1)) % of the expected energy, "
            fit += "lists \(NumberText.fixed(standing.imbalanceRatio, 2)) times as uneven"
        }
        var facts = [["because", cause], ["fit", fit]]
        if let recall = standing.liveRecall {
            facts.append(["live recall", RecallText.text(recall, of: "mated probe")])
        }
        if standing.missRatio > 1 {
            let times = NumberText.fixed(standing.missRatio, 2)
            facts.append([
                "correction",
                "\(times) times as many mates missed as promised; searches for about that recall visit more",
            ])
        }
        return facts
    }

    /// Names and values for the facts of a collection.
    static func facts(_ codebook: CollectionInfo.Codebook, dimension: Int) -> [[String]] {
        [
            [
                "codes",
                // Codes have whole planes of 128 components, also of embeddings that have fewer.
                "\(min(codebook.codedDimension, dimension)) of \(dimension) components in "
                    + "\(NumberText.counted(codebook.codeByteCount, "byte")) a face, "
                    + "\(NumberText.percent(codebook.energyShare)) of the energy",
            ],
            [
                "codebook",
                "generation \(codebook.generation), trained on \(NumberText.counted(codebook.sampleCount, "face"))",
            ],
        ]
    }

    /// The recall targets, as `--effort recall:R` takes them, and what each costs by the least similarity of the mates.
    static func calibrationTable(_ codebook: CollectionInfo.Codebook) -> String {
        let similarities = Set(codebook.calibration.map(\.leastSimilarity)).sorted()
        // Every second one says enough to people.
        let shown = similarities.enumerated().filter { $0.offset.isMultiple(of: 2) }.map(\.element)
        var table = TextTable(
            [.init("recall")] + shown.map { TextTable.Column("from " + NumberText.fixed($0, 2), .right) }
        )
        for recall in Set(codebook.calibration.map(\.recall)).sorted() {
            let points = codebook.calibration.filter { $0.recall == recall }
            table.append(
                [JSONValue.number(recall).line]
                    + shown.map { similarity in
                        points.first { $0.leastSimilarity == similarity }
                            .map { NumberText.fixed($0.visitedShare * 100, 2) + " %" } ?? "-"
                    }
            )
        }
        let probes = NumberText.counted(codebook.calibrationProbeCount, "probe")
        return table.rendered()
            + "Share of the faces that a search visits for a recall of the mates from a similarity up (its\n"
            + "threshold, and 0.30 at least), missing at most twice as many in any band of 0.05: what\n"
            + "\(probes) at each similarity, of as many faces, show with 95 % confidence, and a part\n"
            + "left for codes to lose.\n"
    }
}
