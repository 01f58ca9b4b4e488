/// How well a codebook fits the faces that came after it was trained.
package struct CodebookFit: Hashable, Sendable {
    /// Rows that it coded when they were new.
    package var recentRowCount: UInt64
    /// Share of the recent rows' energy that the coded components hold, over what the training sample lets expect.
    package var energyRatio: Float
    /// Imbalance of the lists, over that of the training sample: how many rows a row shares its list with, on average.
    package var imbalanceRatio: Float
    /// What checks of searches found of what its calibration promises: of the recall whose promise is broken worst, or
    /// while none is, of the default's, or where that was not checked, of the one that was checked most. The parts of a
    /// whole may tell of different ones.
    package var recall: RecallEvidence

    /// Nothing has come yet.
    package static let unknown = CodebookFit(recentRowCount: 0, energyRatio: 1, imbalanceRatio: 1)

    package init(
        recentRowCount: UInt64,
        energyRatio: Float,
        imbalanceRatio: Float,
        recall: RecallEvidence = .none
    ) {
        self.recentRowCount = recentRowCount
        self.energyRatio = energyRatio
        self.imbalanceRatio = imbalanceRatio
        self.recall = recall
    }

    /// The fit of a whole from those of its parts, each weighted by its recent rows; what was checked is added up.
    package init(of parts: [CodebookFit]) {
        let rowCount = parts.reduce(UInt64(0)) { $0 &+ $1.recentRowCount }
        func mean(_ ratio: (CodebookFit) -> Float) -> Float {
            guard rowCount > 0 else { return 1 }
            return Float(parts.reduce(0) { $0 + Double(ratio($1)) * Double($1.recentRowCount) } / Double(rowCount))
        }
        self.init(
            recentRowCount: rowCount,
            energyRatio: mean(\.energyRatio),
            imbalanceRatio: mean(\.imbalanceRatio),
            recall: parts.reduce(.none) { $0 + $1.recall }
        )
    }
}

/// Why a codebook was trained.
package enum TrainingCause: UInt8, CaseIterable, Sendable {
    /// The collection had become large enough for its first.
    case first = 1
    /// It had grown by a multiple.
    case growth = 2
    /// The coded components held less of the recent faces' energy.
    case energy = 3
    /// Lists had become uneven.
    case imbalance = 4
    /// Searches missed more mates than its calibration promised.
    case recall = 5
    /// Somebody asked for it.
    case request = 6
}

/// Where a codebook comes from.
package struct CodebookOrigin: Hashable, Sendable {
    package var cause: TrainingCause
    /// Faces of the collection when the training was ordered.
    package var faceCount: UInt64

    package init(cause: TrainingCause, faceCount: UInt64) {
        self.cause = cause
        self.faceCount = faceCount
    }
}
