import MienClient
import Testing
import WireProtocol

/// Calls where one coordinator of several says nothing.
@Suite struct SilentCoordinatorTests {
    private static func answer(_: Request, _: Int) -> (any WireMessage)? {
        CollectionList(collections: [Sample.description])
    }

    private func expectAnswers(_ count: Int, _ client: MienClient) async throws {
        for _ in 0..<count {
            let collections = try await client.collections()
            #expect(collections.map(\.options.name) == ["people"])
        }
    }

    /// Its host is off, or it hangs: a connection would take longer to fail than the call may take.
    @Test func aSilentCoordinatorLeavesTimeForTheNext() async throws {
        let mute = try MutePort()
        let calls = MienClient.CallOptions(timeout: .seconds(4), retryDuration: .zero)
        try await ScriptedCluster.run(before: mute.address, calls: calls, script: Self.answer) { client, cluster in
            try await expectAnswers(3, client)
            #expect(cluster.requests.count == 3)
        }
        withExtendedLifetime(mute) {}
    }

    /// As of a caller that goes by a time of its own.
    @Test func aCallThatIsCancelledBeforeThereIsAConnectionSendsLaterOnesElsewhere() async throws {
        let mute = try MutePort()
        let calls = MienClient.CallOptions(timeout: .seconds(60), retryDuration: .zero)
        try await ScriptedCluster.run(before: mute.address, calls: calls, script: Self.answer) { client, _ in
            let cancelled = Task { () async -> MienClientError? in
                do throws(MienClientError) {
                    _ = try await client.collections()
                    return nil
                } catch {
                    return error
                }
            }
            cancelled.cancel()
            #expect(await cancelled.value?.code == .cancelled)
            let start = ContinuousClock.now
            try await expectAnswers(1, client)
            // The attempt at the first one takes 5 s.
            #expect(ContinuousClock.now - start < .seconds(4))
        }
        withExtendedLifetime(mute) {}
    }

    /// The call had been sent, and may be at work: it ends, and the next one begins elsewhere.
    @Test func aCallWhoseTimePassesSendsLaterOnesElsewhere() async throws {
        try await ScriptedCluster.run { _, _ in
            nil
        } _: { _, hanging in
            let calls = MienClient.CallOptions(timeout: .seconds(6), retryDuration: .zero)
            try await ScriptedCluster.run(
                before: hanging.address,
                calls: calls,
                script: Self.answer
            ) { client, cluster in
                let error = await #expect(throws: MienClientError.self) { try await client.collections() }
                #expect(error?.code == .deadlineExceeded && error?.hasNoEffect == false)
                try await expectAnswers(2, client)
                #expect(cluster.requests.count == 2 && hanging.requests.count == 1)
            }
        }
    }
}
