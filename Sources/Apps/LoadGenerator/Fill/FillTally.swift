/// What a fill has done so far, and how fast it went in each part of it.
package struct FillTally: Sendable {
    /// What became of the faces of one batch.
    package struct Batch: Sendable {
        package var accepted = 0
        /// Faces that were there with something else.
        package var replaced = 0
        /// Faces that were there as they should be, and were not sent.
        package var present = 0
        package var rejected = 0
        /// From sending the batch to its acknowledgement; nil when there was nothing to send.
        package var time: Duration?

        package init() {}

        package var faceCount: Int { accepted + replaced + present + rejected }
    }

    /// How far it was at a moment.
    package struct Point: Sendable, Equatable {
        package var elapsed: Duration
        package var faceCount: Int
    }

    package private(set) var accepted = 0
    package private(set) var replaced = 0
    package private(set) var present = 0
    package private(set) var rejected = 0
    package private(set) var elapsed = Duration.zero
    /// Times of batches, from sending to acknowledgement.
    package private(set) var batchTimes = LatencyHistogram()
    /// About one a second, ascending.
    package private(set) var points: [Point] = []

    package init() {}

    package var faceCount: Int { accepted + replaced + present + rejected }
    package var sentCount: Int { accepted + replaced + rejected }

    package mutating func add(_ batch: Batch, at elapsed: Duration) {
        accepted += batch.accepted
        replaced += batch.replaced
        present += batch.present
        rejected += batch.rejected
        self.elapsed = elapsed
        if let time = batch.time { batchTimes.record(time) }
        if elapsed - (points.last?.elapsed ?? .zero) >= .seconds(1) {
            points.append(Point(elapsed: elapsed, faceCount: faceCount))
        }
    }

    /// Faces a second in each of `count` parts of equally many faces, so that it shows when a fill slows down as the
    /// collection grows; fewer parts when it was short.
    package func rates(parts count: Int) -> [Double] {
        var rates: [Double] = []
        var last = Point(elapsed: .zero, faceCount: 0)
        for part in 1...max(1, count) {
            let end = faceCount * part / max(1, count)
            guard let point = points.first(where: { $0.faceCount >= end }) ?? (part == count ? final : nil),
                point.elapsed > last.elapsed
            else { continue }
            rates.append(Double(point.faceCount - last.faceCount) / ((point.elapsed - last.elapsed) / .seconds(1)))
            last = point
        }
        return rates
    }

    private var final: Point { Point(elapsed: elapsed, faceCount: faceCount) }
}
