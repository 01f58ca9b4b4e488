import MienClient

/// What `mien top` shows: a cluster, and the rates between two looks at it.
struct TopView: Sendable {
    private var cluster: ClusterInfo?
    private var coordinator = ActivityRates()
    private var workers: [String: ActivityRates] = [:]
    /// Why the last look failed; nil when it did not.
    private(set) var failure: String?
    /// What there is to say of operations that do not get on.
    private var standstills: [String] = []

    mutating func update(_ cluster: ClusterInfo) {
        failure = nil
        if self.cluster?.coordinatorID != cluster.coordinatorID { coordinator = ActivityRates() }
        self.cluster = cluster
        coordinator.update(cluster.activity)
        for worker in cluster.workers { workers[worker.id, default: ActivityRates()].update(worker.activity) }
        let ids = Set(cluster.workers.map(\.id))
        workers = workers.filter { ids.contains($0.key) }
    }

    mutating func note(failure: String) { self.failure = failure }

    mutating func note(standstills: [String]) { self.standstills = standstills }

    /// Whether there are rates of every live node.
    var isComplete: Bool {
        guard let cluster else { return false }
        return coordinator.isKnown && cluster.workers.allSatisfy { !$0.isLive || workers[$0.id]?.isKnown ?? false }
    }

    var text: String {
        guard let cluster else { return failure.map { "\($0.shown())\n" } ?? "" }
        let uptime = cluster.uptime < .seconds(1) ? "less than 1 s" : NumberText.duration(cluster.uptime)
        var text = "cluster \(cluster.id)  coordinator \(cluster.version), up \(uptime), epoch \(cluster.epoch)\n\n"
        text += totals(cluster.activity)
        text += cluster.workers.isEmpty ? "no worker has registered yet\n" : table(cluster.workers)
        text += SuccessorReport.table(cluster)
        text += "\n"
        text += cluster.collections.isEmpty ? "no collection yet\n" : CollectionReport.table(cluster.collections)
        let problems =
            StatusReport.problems(cluster, leastWorkerCount: 1) + standstills + (failure.map { [$0] } ?? [])
        if !problems.isEmpty { text += "\n" + problems.map { "! \($0)\n" }.joined() }
        return text.shown()
    }

    private func totals(_ activity: NodeActivityInfo) -> String {
        var table = TextTable([
            .init("searches/s", .right, leastWidth: 10), .init("median", .right, leastWidth: 8),
            .init("99th", .right, leastWidth: 8), .init("writes/s", .right, leastWidth: 8),
            .init("99th", .right, leastWidth: 8), .init("refused/s", .right), .init("in flight", .right),
            .init("connections", .right),
        ])
        table.append([
            rate(coordinator.searches, coordinator), latency(activity.medianSearchTime),
            latency(activity.search99thTime), rate(coordinator.writes, coordinator), latency(activity.write99thTime),
            rate(coordinator.overloads, coordinator), "\(activity.requestsInFlight)", "\(activity.connectionCount)",
        ])
        return table.rendered() + "\n"
    }

    private func table(_ list: [ClusterInfo.Worker]) -> String {
        var table = TextTable([
            .init("worker", widthLimit: 28), .init("state", widthLimit: 36), .init("replicas", .right),
            .init("faces", .right), .init("shards/s", .right), .init("rows/s", .right),
            .init("median", .right, leastWidth: 8),
            .init("99th", .right, leastWidth: 8), .init("faces/s", .right), .init("write 99th", .right),
            .init("queue", .right), .init("rows queued", .right), .init("memory", .right), .init("warm", .right),
            .init("free disk", .right),
        ])
        for worker in list.sorted(by: { $0.address < $1.address }) {
            let activity = worker.activity
            let rates = workers[worker.id] ?? ActivityRates()
            let state = worker.isLive ? "live" : worker.silence.map { "silent \(NumberText.duration($0))" }
            let node: [String] = [
                worker.address, StatusReport.standing(worker, state ?? "not heard of"), "\(worker.replicaCount)",
                "\(worker.faceCount)",
            ]
            let work: [String] = [
                rate(rates.searches, rates), NumberText.thousands(worker.comparedRowRate),
                latency(activity.medianSearchTime), latency(activity.search99thTime),
                rate(rates.writtenFaces, rates), latency(activity.write99thTime), "\(activity.queuedSearchCount)",
                "\(activity.queuedRowCount)",
            ]
            let room: [String] = [
                NumberText.bytes(worker.residentByteCount), warmth(worker), NumberText.bytes(worker.freeDiskByteCount),
            ]
            // What one that is away did last is not what it does.
            table.append(node + (worker.isLive ? work : work.map { _ in "-" }) + room)
        }
        return table.rendered()
    }

    private func rate(_ value: Double, _ rates: ActivityRates) -> String {
        rates.isKnown ? NumberText.fixed(value, value > 0 && value < 10 ? 1 : 0) : "-"
    }

    private func latency(_ duration: Duration) -> String { duration == .zero ? "-" : NumberText.latency(duration) }

    /// The share of the codes that is in memory; of the embeddings where there are no codes.
    private func warmth(_ worker: ClusterInfo.Worker) -> String {
        let (resident, total) =
            worker.codeByteCount > 0
            ? (worker.residentCodeByteCount, worker.codeByteCount) : (worker.residentRowByteCount, worker.rowByteCount)
        return total == 0 ? "-" : NumberText.percent(Double(resident) / Double(total))
    }
}
