import MienClient

/// A node's rates, from its activities as they come.
struct ActivityRates: Sendable {
    var searches = 0.0
    var writes = 0.0
    var writtenFaces = 0.0
    var overloads = 0.0

    private var last: NodeActivityInfo?

    /// Whether two activities have been seen, so that there are rates.
    private(set) var isKnown = false

    /// Takes the newest activity. One that is known already, as between two heartbeats, changes nothing; after a
    /// restart counting begins anew.
    mutating func update(_ activity: NodeActivityInfo) {
        guard let last, activity.uptime >= last.uptime else {
            self = ActivityRates()
            last = activity
            return
        }
        let seconds = NumberText.seconds(activity.uptime - last.uptime)
        guard seconds > 0 else { return }
        func rate(_ count: (NodeActivityInfo) -> UInt64) -> Double {
            Double(count(activity) - min(count(last), count(activity))) / seconds
        }
        searches = rate(\.searchCount)
        writes = rate(\.writeCount)
        writtenFaces = rate(\.writtenFaceCount)
        overloads = rate(\.overloadCount)
        isKnown = true
        self.last = activity
    }
}
