package import ClusterModel
import CoreMetrics
package import Observability
import Synchronization
package import WireProtocol

/// What one server counts of its connections and requests. Recording costs a few atomic additions and short locks, and
/// may be done from any thread.
package final class ServerMetrics: Sendable {
    private struct RequestCells: Sendable {
        let duration: Timer
        let answered: Counter
        /// By the status that took the place of the answer; made when it first does.
        private(set) var refused: [StatusCode: Counter] = [:]

        init(_ type: MessageType, role: String, _ registry: MetricRegistry) {
            duration = registry.timer(MetricCatalogue.requestDuration, role, "\(type)")
            answered = registry.counter(MetricCatalogue.requests, role, "\(type)", LabelValue.ok)
        }

        mutating func note(_ counter: Counter, of status: StatusCode?) {
            if let status { refused[status] = counter }
        }
    }

    private let registry: MetricRegistry
    private let role: String
    private let accepted: Counter
    private let refused: Counter
    private let received: Counter
    private let sent: Counter
    private let requests = Mutex<[MessageType: RequestCells]>([:])
    private let openCount = Atomic(0)
    private let inFlightCount = Atomic(0)
    private let overloadCount = Atomic<UInt64>(0)
    private let searches = LatencyWindow()
    private let writes = LatencyWindow()
    private let start = ContinuousClock.now

    package init(_ registry: MetricRegistry, role: PeerRole) {
        self.registry = registry
        self.role = "\(role)"
        accepted = registry.counter(MetricCatalogue.connectionsAccepted, self.role)
        refused = registry.counter(MetricCatalogue.connectionsRefused, self.role)
        received = registry.counter(MetricCatalogue.bytesReceived, self.role)
        sent = registry.counter(MetricCatalogue.bytesSent, self.role)
        registry.collect { [weak self, role = self.role] samples in
            guard let self else { return }
            samples.add(MetricCatalogue.connections, role, value: Double(openCount.load(ordering: .relaxed)))
            samples.add(MetricCatalogue.requestsInFlight, role, value: Double(inFlightCount.load(ordering: .relaxed)))
        }
    }

    // MARK: Connections

    func connectionOpened() {
        accepted.increment()
        openCount.add(1, ordering: .relaxed)
    }

    func connectionClosed() { openCount.subtract(1, ordering: .relaxed) }

    func connectionRefused() { refused.increment() }

    func noteReceived(_ byteCount: Int) { received.increment(by: byteCount) }

    func noteSent(_ byteCount: Int) { sent.increment(by: byteCount) }

    // MARK: Requests

    func requestBegan() { inFlightCount.add(1, ordering: .relaxed) }

    /// - Parameter status: what took the place of the answer; nil for an answer.
    func requestEnded(_ type: MessageType, _ status: StatusCode?, took duration: Duration) {
        inFlightCount.subtract(1, ordering: .relaxed)
        let (timer, counter) = requests.withLock { requests in
            let cells = requests[type] ?? RequestCells(type, role: role, registry)
            let counter =
                if let status {
                    cells.refused[status] ?? registry.counter(MetricCatalogue.requests, role, "\(type)", "\(status)")
                } else {
                    cells.answered
                }
            requests[type, default: cells].note(counter, of: status)
            return (cells.duration, counter)
        }
        counter.increment()
        timer.recordNanoseconds(duration.wholeNanoseconds)
        if status == .overloaded { overloadCount.add(1, ordering: .relaxed) }
        if type.isSearch { searches.record(duration) } else if type.isWrite { writes.record(duration) }
    }

    /// What there is to say of this server; its node adds what it knows besides.
    package var activity: NodeActivity {
        let searches = searches.figures
        let writes = writes.figures
        return NodeActivity(
            uptimeMilliseconds: UInt64((ContinuousClock.now - start).wholeNanoseconds / 1_000_000),
            connectionCount: UInt32(clamping: openCount.load(ordering: .relaxed)),
            requestsInFlight: UInt32(clamping: inFlightCount.load(ordering: .relaxed)),
            searchCount: searches.count,
            searchMedianMicroseconds: searches.medianMicroseconds,
            search99thMicroseconds: searches.percentile99Microseconds,
            writeCount: writes.count,
            write99thMicroseconds: writes.percentile99Microseconds,
            overloadCount: overloadCount.load(ordering: .relaxed)
        )
    }
}

extension MessageType {
    fileprivate var isSearch: Bool {
        switch self {
        case .searchFaces, .searchByFace, .shardSearch: true
        default: false
        }
    }

    fileprivate var isWrite: Bool {
        switch self {
        case .enrolFaces, .deleteFaces, .shardEnrol, .shardDelete, .restoreFaces, .shardRestore: true
        default: false
        }
    }
}
