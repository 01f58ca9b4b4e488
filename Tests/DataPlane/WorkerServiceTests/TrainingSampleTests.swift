import ClusterModel
import FaceModel
import Testing
import WireProtocol
import WireTransport
import WorkerService

/// Samples that other workers send are the outside world.
@Suite struct TrainingSampleTests {
    private let test = TestCollection()

    /// A worker whose rows have one component throughout.
    private final class Sender: RequestHandler {
        private let component: Float

        init(component: Float) {
            self.component = component
        }

        func handle(_ request: Request, call: ServerCall) {
            guard case .sampleEmbeddings(let sample) = request else {
                return call.fail(WireStatus(.invalidRequest, "unexpected"))
            }
            let count = Int(sample.count) * WorkerHarness.dimension
            call.reply(
                EmbeddingSample(
                    embeddings: EmbeddingMatrix(
                        dimension: WorkerHarness.dimension,
                        values: [Float](repeating: component, count: count)
                    ),
                    continuation: .end
                )
            )
        }
    }

    /// The training fails, and the worker that trains goes on.
    @Test(arguments: [Float(1e38), .infinity, .nan, 0])
    func rowsThatAreNoEmbeddingsFailTheTrainingAlone(component: Float) async throws {
        let server = try await WireServer.start(
            WireServerConfiguration(
                listen: NodeAddress(host: "127.0.0.1", port: 0),
                token: "secret",
                role: .worker,
                node: .random(),
                agent: "test"
            ),
            handler: Sender(component: component),
            group: WorkerHarness.group
        )
        var outcome = Result<Void, any Error>.success(())
        do {
            let folder = TemporaryFolder()
            try await WorkerHarness.withCluster(folder, cluster: .random()) { harness, coordinator in
                _ = try await harness.call(
                    TrainCodebook(
                        collection: test.collection,
                        generation: 1,
                        listCount: 16,
                        sources: [
                            .init(shard: test.shard(), epoch: Epoch(1), address: server.address, sampleCount: 3000)
                        ]
                    )
                )
                let report = try await coordinator.report { report in
                    report.trainings.contains { $0.isFinished || $0.failure != nil }
                }
                #expect(report.trainings[0].failure?.contains("not of unit length") == true)
                #expect(!report.trainings[0].isFinished)
                _ = try await harness.call(test.host())
                _ = try await coordinator.report { $0.replicas.first?.state == .serving }
            }
        } catch {
            outcome = .failure(error)
        }
        await server.shutdown(gracePeriod: .zero)
        try outcome.get()
    }
}
