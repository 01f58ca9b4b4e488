import ClusterModel
import ClusterState
import FaceModel
import Testing

/// Who asks for a replica on a worker that may not be given one is told why not.
struct BarredWorkerTests {
    private let workers = (1...3).map { ClusterScript.worker(UInt64($0)) }

    enum Bar: CaseIterable {
        case draining
        case decommissioned
        case silent
        case stopping
        case shortOfMemory

        var rule: String {
            switch self {
            case .draining: "is being drained, or has been, and gets no replicas: 'mien recommission'"
            case .decommissioned: "is decommissioned and gets no replicas: 'mien recommission'"
            case .silent: "is not heard of"
            case .stopping: "is about to stop"
            case .shortOfMemory: "holds as much memory as it may, and gets no replicas: 'mien status'"
            }
        }

        func apply(to worker: NodeID, in view: inout ClusterView) {
            switch self {
            case .draining: view.metadata.standings[worker] = .draining
            case .decommissioned: view.metadata.standings[worker] = .decommissioned
            case .silent: view.liveWorkers.remove(worker)
            case .stopping: view.observations[worker]!.isStopping = true
            case .shortOfMemory: view.observations[worker]!.memory.isShort = true
            }
        }
    }

    private func refusal(_ request: OperationRequest, in view: ClusterView) -> String? {
        do {
            _ = try request.operation(OperationID(high: 1, low: 1), in: view, now: Timestamp(milliseconds: 1))
            return nil
        } catch {
            return error.description
        }
    }

    @Test(arguments: Bar.allCases) func theRuleIsNamed(bar: Bar) throws {
        let record = ClusterScript.record(1, shards: 2, on: workers)
        var view = OperationWorld(seed: 1, workers: 3, records: [record]).view
        let (first, second) = (record.placements[0], record.placements[1])
        let move = OperationRequest.move(second.shard, from: second.primary, to: first.primary)
        // The second shard's replica would move to where the first's is.
        let merge = OperationRequest.merge(record.collection.id, [.init(0, 1)])
        #expect(refusal(move, in: view) == nil && refusal(merge, in: view) == nil)
        bar.apply(to: first.primary, in: &view)
        #expect(!view.placementWorkers.contains(first.primary))
        let address = try #require(view.metadata.workers[first.primary])
        for request in [move, merge] {
            let text = refusal(request, in: view) ?? "it is not refused"
            #expect(text.hasPrefix("The worker at \(address) \(bar.rule)"), "\(text)")
        }
    }
}
