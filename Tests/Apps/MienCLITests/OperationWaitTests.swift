import ClusterModel
import FaceModel
import Testing
import WireProtocol

/// `--wait`, and `operations --watch` without a terminal, where the cluster cannot always be asked.
struct OperationWaitTests {
    private func drain(_ state: OperationState) -> OperationDescription {
        OperationDescription(
            id: OperationID(high: 1, low: 2),
            kind: .drain,
            worker: NodeID(high: 7, low: 0),
            state: state,
            created: Timestamp(milliseconds: 1),
            steps: []
        )
    }

    private let wait = ["drain", "127.0.0.1:7401", "--wait", "--coordinator"]

    /// The coordinator is started anew, or has too much to do.
    @Test func aLookThatFailsIsPassedOver() async throws {
        let (running, done) = (drain(.running), drain(.done))
        try await ToyCluster.run { cluster, address in
            cluster.change { state in
                state.begun = running
                state.operations = [done]
                state.failingLooks = 1
            }
            let result = await mienCommand(wait + [address])
            #expect(result.status == 0, "\(result)")
            #expect(result.output.contains("drain of 127.0.0.1:7401, done"), "\(result)")
            #expect(cluster.current.failingLooks == 0)
            cluster.change { $0.failingLooks = 1 }
            let watched = await mienCommand(["operations", "--watch", "--coordinator", address])
            #expect(watched.status == 0 && watched.output.contains("drain of 127.0.0.1:7401, done"), "\(watched)")
        }
    }

    /// The wait is over, and not the operation: who goes on with what comes after it has to know.
    @Test(arguments: [false, true])
    func anOperationThatCannotBeWaitedForIsShown(isJSON: Bool) async throws {
        let running = drain(.running)
        try await ToyCluster.run { cluster, address in
            cluster.change { $0.begun = running }
            let result = await mienCommand(wait + [address] + (isJSON ? ["--json"] : []))
            #expect(result.status == 1, "\(result)")
            #expect(result.output.contains("\(running.id)"), "\(result)")
            #expect(isJSON || result.output.contains("It goes on by itself"), "\(result)")
            #expect(result.error.contains("but what has begun goes on"), "\(result)")
            #expect(result.error.contains("the operation \(running.id) is not listed any more"), "\(result)")
        }
    }
}
