/// What one metric is: everything that its readers have to know, and the registry to render it.
package struct MetricDescription: Hashable, Sendable {
    package enum Kind: String, Sendable {
        /// Only rises while the process lives.
        case counter
        case gauge
        /// Durations by size, recorded in nanoseconds and shown in seconds, Prometheus's unit of time.
        case histogram
    }

    package let name: String
    package let kind: Kind
    package let labels: [MetricLabel]
    /// One sentence without a full stop.
    package let help: String

    init(_ name: String, _ kind: Kind, _ help: String) {
        self.init(name, kind, [], help)
    }

    init(_ name: String, _ kind: Kind, _ labels: [MetricLabel], _ help: String) {
        self.name = name
        self.kind = kind
        self.labels = labels
        self.help = help
    }

    /// Upper bounds of a histogram's buckets in nanoseconds: ten for each power of ten from 10 µs to 100 ms, where
    /// searches are, and five from there to 10 s.
    ///
    /// Prometheus takes a bucket's times for evenly spread, so a median whose bucket holds all of them is off by half a
    /// bucket at most: 14 % below 100 ms.
    static let boundsInNanoseconds: [UInt64] = {
        var bounds: [UInt64] = []
        var decade: UInt64 = 10_000
        while decade < 10_000_000_000 {
            let parts: [UInt64] =
                decade < 100_000_000
                ? [100, 125, 160, 200, 250, 315, 400, 500, 630, 800] : [100, 160, 250, 400, 630]
            for hundredths in parts { bounds.append(decade / 100 * hundredths) }
            decade *= 10
        }
        return bounds + [decade]
    }()
}

/// A label of a metric. Its values are few and fixed, or the names of collections; never an id, an address of a client,
/// or anything of a face.
package enum MetricLabel: String, CaseIterable, Sendable {
    /// Name of a collection; `other` from the 65th on, in order of name.
    case collection
    case effort
    /// Which of several things of one sort.
    case kind
    case operation
    case part
    case place
    case queue
    case reason
    case request
    /// `coordinator` or `worker`.
    case role
    case stage
    case state
    /// `ok`, or the name of a status code of the wire.
    case status
    case version

    /// Collections with a value of their own.
    package static let collectionLimit = 64
    package static let otherCollections = "other"
}
