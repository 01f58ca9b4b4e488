import Etcd
import HTTPScripting
import NIOPosix
import Synchronization
import Testing

/// A user's token that etcd takes no more.
struct EtcdTokenTests {
    /// What etcd answers: in which words and under which code depends on its version.
    static let refusals = [
        #"{"error":"etcdserver: invalid auth token","code":16}"#,
        #"{"error":"etcdserver: revision of auth store is old","code":3}"#,
        #"{"error":"auth: revision in header is old","code":3}"#,
        #"{"error":"auth: revision in header is old","code":2}"#,
    ]

    private func client(_ gateway: ScriptedServer) throws -> EtcdClient {
        try EtcdClient(
            EtcdOptions(
                endpoints: [gateway.endpoint],
                user: EtcdOptions.User(name: "mien", password: "secret")
            ),
            group: MultiThreadedEventLoopGroup.singleton
        )
    }

    @Test(arguments: EtcdTokenTests.refusals)
    func aNewOneIsAskedForOnce(_ refusal: String) async throws {
        // A change, too: nothing was done.
        let done = #"{"header":{"revision":"9"},"succeeded":true,"responses":[{"response_put":{}}]}"#
        let refused = Mutex(0)
        let gateway = try await ScriptedServer.start { _, body in
            if body.contains("password") { return .answer(200, #"{"token":"a token"}"#) }
            let isFirst = refused.withLock { count in
                count += 1
                return count == 1
            }
            return isFirst ? .answer(400, refusal) : .answer(200, done)
        }
        let client = try client(gateway)
        let outcome = try await client.commit([], [.put([1], [2], lease: nil)])
        #expect(outcome == .succeeded(revision: 9))
        #expect(gateway.requestCount == 4, "a token, a refusal, another token, and the answer")
        await client.close()
        await gateway.stop()
    }

    @Test(arguments: EtcdTokenTests.refusals)
    func oneThatIsRefusedAgainIsTold(_ refusal: String) async throws {
        let gateway = try await ScriptedServer.start { _, body in
            body.contains("password") ? .answer(200, #"{"token":"a token"}"#) : .answer(400, refusal)
        }
        let client = try client(gateway)
        let error = await #expect(throws: EtcdError.self) { try await client.entry([1]) }
        guard case .refused(16, _) = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(gateway.requestCount == 4)
        await client.close()
        await gateway.stop()
    }
}
