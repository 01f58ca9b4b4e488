import ClusterModel
import FaceModel
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// Requests that say what they must not be done without are sent to nobody who would not look at it.
struct GuardedRequestTests {
    /// A handler that does nothing, and how many requests have come to it.
    private final class Requests: Sendable {
        let count = Atomic<Int>(0)

        var handler: ClosureHandler {
            ClosureHandler { [self] _, call in
                count.add(1, ordering: .relaxed)
                call.fail(Fixture.unexpected)
            }
        }
    }

    private func statuses(_ connection: WireConnection, guarded: Bool) async -> [WireStatus?] {
        func status(_ request: some WireRequest) async -> WireStatus? {
            #expect(request.needsGuards == guarded)
            return await Fixture.status { () async throws(WireStatus) in
                try await connection.call(request, deadline: Fixture.soon)
            }
        }
        let epoch = Epoch(1)
        return [
            await status(DeleteCollection(name: "a", id: guarded ? CollectionID(high: 1, low: 2) : nil)),
            await status(ReadLosses(collection: "a", isSettling: true, settled: guarded ? [] : nil)),
            await status(BeginOperation(id: .random(), order: .rebalance, fingerprint: guarded ? 7 : 0)),
            await status(
                RecoverShard(
                    collection: "a",
                    shardIndex: 0,
                    isPlan: false,
                    confirmed: guarded ? RecoverShard.Confirmation(epoch: epoch, primary: nil, sequence: 0) : nil
                )
            ),
            await status(
                AcceptRecord(
                    collection: "a",
                    shardIndex: 0,
                    isPlan: false,
                    confirmed: guarded
                        ? AcceptRecord.Confirmation(storedVersion: 1, primary: Fixture.node, sequence: 0) : nil
                )
            ),
        ]
    }

    @Test(arguments: [WireFeatures.known, .known.subtracting(.guards)], [true, false])
    func aRequestWithAGuardGoesToNobodyWhoWouldPassItOver(features: WireFeatures, guarded: Bool) async throws {
        let requests = Requests()
        try await Fixture.withServer(requests.handler, Fixture.configuration { $0.features = features }) { server in
            let connection = try await Fixture.connect(server)
            let statuses = await statuses(connection, guarded: guarded)
            #expect(statuses.count == 5)
            if guarded, !features.contains(.guards) {
                for status in statuses {
                    #expect(status?.code == .incompatibleVersion && status?.message.contains("up to date") == true)
                    // Another coordinator is asked.
                    #expect(status?.hasNoEffect == true && status?.isOfConnection == true)
                }
                #expect(requests.count.load(ordering: .relaxed) == 0)
            } else {
                for status in statuses { #expect(status?.code == Fixture.unexpected.code) }
                #expect(requests.count.load(ordering: .relaxed) == 5)
            }
            await connection.close()
        }
    }
}
