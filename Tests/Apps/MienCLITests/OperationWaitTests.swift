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
                state.failingLooks = 2
            }
            let warning = "mien: warning: the coordinator is stopping; it is asked again, for five minutes at most"
            let result = await mienCommand(wait + [address])
            #expect(result.status == 0, "\(result)")
            // Of those one after the other once.
            let told = result.error.split(separator: "\n").filter { $0 == warning }
            #expect(told.count == 1, "\(result)")
            #expect(result.output.contains("drain of 127.0.0.1:7401, done"), "\(result)")
            #expect(cluster.current.failingLooks == 0)
            cluster.change { $0.failingLooks = 1 }
            let watched = await mienCommand(["operations", "--watch", "--coordinator", address])
            #expect(watched.status == 0 && watched.output.contains("drain of 127.0.0.1:7401, done"), "\(watched)")
            #expect(watched.error == warning + "\n")
        }
    }

    /// Asked again, it would say the same.
    @Test func aLookThatNeverSucceedsIsNotPassedOver() async throws {
        let (running, done) = (drain(.running), drain(.done))
        try await ToyCluster.run { cluster, address in
            cluster.change { state in
                state.begun = running
                state.operations = [done]
                state.lookFailure = WireStatus(.incompatibleVersion, "the coordinator is of an earlier version")
                state.failingLooks = 1
            }
            let result = await mienCommand(wait + [address])
            #expect(result.status == 69 && result.output.contains("It goes on by itself"), "\(result)")
            #expect(result.error.contains("but what has begun goes on"), "\(result)")
            #expect(result.error.contains("of an earlier version"), "\(result)")
            cluster.change { $0.failingLooks = 1 }
            let watched = await mienCommand(["operations", "--watch", "--coordinator", address])
            #expect(watched.status == 69 && watched.output.isEmpty, "\(watched)")
            #expect(watched.error == "mien: the coordinator is of an earlier version\n", "\(watched)")
        }
    }

    /// The wait is over, and perhaps not the operation: who goes on with what comes after it has to know.
    @Test(arguments: [false, true])
    func anOperationThatCannotBeWaitedForIsShown(isJSON: Bool) async throws {
        let running = drain(.running)
        try await ToyCluster.run { cluster, address in
            cluster.change { $0.begun = running }
            let result = await mienCommand(wait + [address] + (isJSON ? ["--json"] : []))
            #expect(result.status == 1, "\(result)")
            #expect(result.output.contains("\(running.id)"), "\(result)")
            #expect(!result.output.contains("It goes on by itself"), "\(result)")
            #expect(result.error.contains("whether what has begun goes on 'mien operations --all' shows"), "\(result)")
            #expect(result.error.contains("the operation \(running.id) is not listed any more"), "\(result)")
        }
    }
}
