/// Times of two things done in turn, so that a machine whose speed drifts slows both.
struct PairedTimes {
    private(set) var first: [Duration] = []
    private(set) var second: [Duration] = []

    mutating func append(_ first: Duration, _ second: Duration) {
        self.first.append(first)
        self.second.append(second)
    }

    static func median(_ values: [Double]) -> Double {
        let sorted = values.sorted()
        guard !sorted.isEmpty else { return .nan }
        let middle = sorted.count / 2
        return sorted.count % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2
    }

    static func medianMilliseconds(_ times: [Duration]) -> Double {
        median(times.map { $0 / .milliseconds(1) })
    }

    static func medianMicroseconds(_ times: [Duration]) -> Double {
        median(times.map { $0 / .microseconds(1) })
    }
}
