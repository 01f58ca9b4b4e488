import Backups
import HTTPScripting
import NIOPosix
import ObjectStore
import PortHolding
import Testing

/// What is asked again, how often, and what is not.
@Suite struct ObjectStoreTests {
    /// As long as ever, in less time.
    private static let quick = RetryPolicy(
        time: .seconds(20),
        firstPause: .milliseconds(1),
        longestPause: .milliseconds(4)
    )

    private static func store(
        at endpoint: String,
        _ retries: RetryPolicy = quick,
        bodyTime: Duration = .seconds(120)
    ) -> ObjectStore {
        ObjectStore(
            ObjectStoreOptions(
                bucket: "some-bucket",
                prefix: "mien/",
                endpoint: endpoint,
                region: "us-east-1",
                credentials: .init(accessKey: "a", secretKey: "b")
            ),
            retries: retries,
            bodyTime: bodyTime,
            group: MultiThreadedEventLoopGroup.singleton
        )
    }

    private static func withStore(
        _ retries: RetryPolicy = quick,
        bodyTime: Duration = .seconds(120),
        _ script: @escaping @Sendable (Int) -> ScriptedServer.Reaction,
        _ body: (ObjectStore, ScriptedServer) async throws -> Void
    ) async throws {
        let server = try await ScriptedServer.start { number, _ in script(number) }
        let store = Self.store(at: server.endpoint, retries, bodyTime: bodyTime)
        var failure: (any Error)?
        do { try await body(store, server) } catch { failure = error }
        await store.close()
        await server.stop()
        if let failure { throw failure }
    }

    @Test(
        arguments: [
            (503, "SlowDown"), (500, "InternalError"), (429, ""), (408, ""), (400, "RequestTimeout"),
            (409, "OperationAborted"),
        ]
    )
    func whatPassesIsAskedAgain(status: Int, code: String) async throws {
        try await Self.withStore { number in
            number < 9 ? .error(status, code) : .answer(200)
        } _: { store, server in
            try await store.put("blocks/aa", [1, 2, 3])
            #expect(server.requestCount == 10)
            #expect(try await store.get("blocks/aa", limit: 9).isEmpty)
        }
    }

    @Test func aConnectionThatIsCutIsMadeAnew() async throws {
        try await Self.withStore { number in
            number == 0 || number > 6 ? .answer(200) : .close
        } _: { store, server in
            try await store.put("blocks/aa", [1])
            try await store.put("blocks/bb", [1])
            #expect(server.requestCount == 8)
        }
    }

    @Test(
        arguments: [
            (400, "InvalidRequest"), (403, "AccessDenied"), (409, "BucketNotEmpty"), (501, "NotImplemented"),
        ]
    )
    func whatDoesNotPassIsSaidAtOnce(status: Int, code: String) async throws {
        try await Self.withStore { _ in
            .error(status, code)
        } _: { store, server in
            let error = await #expect(throws: BackupError.self) { try await store.put("blocks/aa", [1]) }
            #expect(error?.description.hasSuffix("it answers \(status): \(code)") == true)
            #expect(server.requestCount == 1)
        }
    }

    @Test func whatIsThereNoMoreIsNotAskedForAgain() async throws {
        try await Self.withStore { _ in
            .error(404, "NoSuchKey")
        } _: { store, server in
            let error = await #expect(throws: BackupError.self) { try await store.get("blocks/aa", limit: 9) }
            #expect(error == .missing(object: store.path(of: "blocks/aa")))
            #expect(server.requestCount == 1)
        }
    }

    @Test func whatDoesNotPassInTimeIsSaid() async throws {
        let policy = RetryPolicy(
            leastAttempts: 2,
            time: .seconds(2),
            firstPause: .milliseconds(5),
            longestPause: .milliseconds(20)
        )
        try await Self.withStore(policy) { _ in
            .error(503, "SlowDown")
        } _: { store, server in
            let error = await #expect(throws: BackupError.self) { try await store.remove("blocks/aa") }
            #expect(error?.description.contains("it answers 503: SlowDown, after ") == true)
            #expect(server.requestCount > 2)
        }
    }

    /// The answer begins at once, and would take hours.
    @Test(.timeLimit(.minutes(2))) func anAnswerThatDoesNotEndIsGivenUpAndAskedForAgain() async throws {
        try await Self.withStore(bodyTime: .seconds(1)) { number in
            number == 0 ? .drip : .answer(200, "whole")
        } _: { store, server in
            let body = try await store.get("blocks/aa", limit: 1 << 20)
            #expect(body == Array("whole".utf8))
            #expect(server.requestCount > 1)
        }
    }

    @Test func aListingOfOtherObjectsIsRefused() async throws {
        @Sendable func listing(_ key: String, _ end: String) -> ScriptedServer.Reaction {
            let contents = "<Contents><Key>\(key)</Key><Size>3</Size></Contents>"
            return .answer(200, "<ListBucketResult>\(contents)\(end)</ListBucketResult>")
        }
        let last = "<IsTruncated>false</IsTruncated>"
        let more = "<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>"
        try await Self.withStore { number in
            number == 0 ? listing("mien/blocks/aa", more) : listing("mien/blocks/bb", last)
        } _: { store, _ in
            let objects = try await store.list("blocks/")
            #expect(objects.map(\.name) == ["blocks/aa", "blocks/bb"])
        }
        // As one that writes keys in another way would have it.
        for key in ["mien%2Fblocks%2Faa", "mien/manifests/aa", "other/blocks/aa"] {
            try await Self.withStore { _ in
                listing(key, last)
            } _: { store, server in
                await #expect(throws: BackupError.self, "\(key)") { try await store.list("blocks/") }
                #expect(server.requestCount == 1)
            }
        }
        // Page after page of the same.
        try await Self.withStore { _ in
            listing("mien/blocks/aa", more)
        } _: { store, server in
            await #expect(throws: BackupError.self) { try await store.list("blocks/") }
            #expect(server.requestCount == 2)
        }
    }

    /// Each attempt would take the ten seconds that a connection may, were it made again until then.
    @Test func aPortThatRefusesIsNotWaitedFor() async throws {
        let server = try await ScriptedServer.start { _, _ in .close }
        let port = try #require(server.endpoint.split(separator: ":").last.flatMap { Int($0) })
        await server.stop()
        let heldPort = HeldPort(port) { Issue.record("\($0)") }
        defer { withExtendedLifetime(heldPort) {} }
        let store = Self.store(at: server.endpoint)
        let began = ContinuousClock.now
        let error = await #expect(throws: BackupError.self) { try await store.list("manifests/") }
        #expect(error?.description.contains("after \(Self.quick.leastAttempts) attempts") == true)
        #expect(ContinuousClock.now - began < .seconds(30))
        await store.close()
    }

    @Test func aStoreThatHasNeverAnsweredIsNotWaitedFor() async throws {
        try await Self.withStore { _ in
            .close
        } _: { store, server in
            await #expect(throws: BackupError.self) { try await store.put("blocks/aa", [1]) }
            #expect(server.requestCount == Self.quick.leastAttempts)
        }
    }
}

extension ScriptedServer.Reaction {
    /// A status, and the code that the XML of a store's error names; without one there is no body.
    fileprivate static func error(_ status: Int, _ code: String) -> Self {
        .answer(status, code.isEmpty ? "" : "<Error><Code>\(code)</Code></Error>")
    }
}

struct RetryPolicyTests {
    private let policy = RetryPolicy(
        leastAttempts: 3,
        time: .seconds(60),
        firstPause: .milliseconds(200),
        longestPause: .seconds(5)
    )

    @Test func pausesGrowAndEnd() {
        func pause(_ attempt: Int, _ elapsed: Duration = .zero) -> Duration? {
            policy.pause(after: attempt, elapsed: elapsed, share: 1)
        }
        let milliseconds = [200, 400, 800, 1600, 3200, 5000, 5000]
        #expect((1...7).compactMap { pause($0) } == milliseconds.map { Duration.milliseconds($0) })
        #expect(pause(7, .seconds(55)) == .seconds(5) && pause(7, .milliseconds(55_001)) == nil)
        // An attempt may take long, and be the only one.
        #expect(pause(2, .seconds(500)) == .milliseconds(400) && pause(3, .seconds(500)) == nil)
        #expect(policy.pause(after: 2, elapsed: .zero, isKnown: false) != nil)
        #expect(policy.pause(after: 3, elapsed: .zero, isKnown: false) == nil)
    }

    @Test func thoseThatFailTogetherDoNotComeAgainTogether() {
        let pauses = (0..<100).compactMap { _ in policy.pause(after: 2, elapsed: .zero) }
        #expect(pauses.allSatisfy { $0 >= .milliseconds(200) && $0 <= .milliseconds(400) })
        #expect(Set(pauses).count > 50)
    }

    @Test func aMinuteIsWaited() {
        var (elapsed, attempt) = (Duration.zero, 1)
        while let pause = RetryPolicy.patient.pause(after: attempt, elapsed: elapsed) {
            elapsed += pause
            attempt += 1
        }
        #expect(elapsed > .seconds(50) && elapsed <= .seconds(60) && attempt < 30)
    }
}
