/// How far the training of a codebook is.
package struct TrainingProgress: Hashable, Sendable {
    /// In this order.
    package enum Stage: UInt8, CaseIterable, Sendable {
        /// Rows are being gathered from the shards.
        case sampling = 1
        case principalComponents = 2
        /// k-means: `share` rises through all iterations.
        case centroids = 3
        /// Simulated mates are searched for.
        case calibration = 4

        package var name: String {
            switch self {
            case .sampling: "sampling"
            case .principalComponents: "principal components"
            case .centroids: "centroids"
            case .calibration: "calibration"
            }
        }
    }

    package var stage: Stage
    /// Share of the stage that is done, 0…1.
    package var share: Float

    package init(stage: Stage, share: Float) {
        self.stage = stage
        self.share = share
    }
}
