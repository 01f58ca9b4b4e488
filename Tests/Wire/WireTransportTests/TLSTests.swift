import ClusterModel
import Foundation
import NIOCore
import Synchronization
import Testing
import WireProtocol
import WireTransport

struct TLSTests {
    /// What came of connections that were begun until it is over; nil of one that was taken.
    private final class Connecting: Sendable {
        let isOver = Atomic(false)
        let ends = Mutex<[WireStatus?]>([])

        var count: Int { ends.withLock(\.count) }
    }

    private static func configuration(clientTrustRootsFile: String? = nil) throws -> WireServerConfiguration {
        let tls = try ServerTLS(
            certificateFile: Fixture.certificate("node.pem"),
            privateKeyFile: Fixture.certificate("node.key"),
            clientTrustRootsFile: clientTrustRootsFile
        )
        return Fixture.configuration { $0.tls = tls }
    }

    private func refusal(_ server: WireServer, tls: ClientTLS?, host: String = "localhost") async -> WireStatus? {
        await Fixture.status { () async throws(WireStatus) in
            try await WireConnection.connect(
                to: NodeAddress(host: host, port: server.address.port),
                as: .client,
                token: Fixture.token,
                tls: tls,
                on: Fixture.group.next(),
                agent: "test",
                timeout: .seconds(5)
            )
        }
    }

    @Test(arguments: ["localhost", "127.0.0.1"])
    func callsGoThroughTLS(host: String) async throws {
        try await Fixture.withServer(Fixture.counting, Self.configuration()) { server in
            let tls = try ClientTLS(trustRootsFile: Fixture.certificate("authority.pem"))
            let connection = try await Fixture.connect(server, tls: tls, host: host)
            for number in [1, 2, 3] as [UInt64] {
                let answer = try await connection.call(DeleteCollection(name: "\(number)"), deadline: Fixture.soon)
                #expect(answer.faceCount == number)
            }
            await connection.close()
        }
    }

    /// Nobody is connected to: neither address would answer, and neither is looked for.
    @Test(arguments: ["192.0.2.1", "worker-1.invalid"])
    func aTokenIsNotSentBeyondThisMachineWithoutTLS(host: String) async throws {
        try await Fixture.withServer(Fixture.counting, Self.configuration()) { server in
            let status = await refusal(server, tls: nil, host: host)
            #expect(status?.code == .unauthenticated)
            #expect(status?.message.hasPrefix("the token is not sent to \(host):") == true)
            #expect(status?.message.contains(Fixture.token) == false)
        }
    }

    @Test func aTokenIsStillAskedForUnderTLS() async throws {
        try await Fixture.withServer(Fixture.counting, Self.configuration()) { server in
            let tls = try ClientTLS(trustRootsFile: Fixture.certificate("authority.pem"))
            await #expect(throws: WireStatus.self) {
                try await Fixture.connect(server, token: "wrong", tls: tls, host: "localhost")
            }
        }
    }

    @Test func aNodeOfAnotherAuthorityIsNotTrusted() async throws {
        try await Fixture.withServer(Fixture.counting, Self.configuration()) { server in
            let other = Fixture.certificate("other-authority.pem")
            for (file, authority) in [(other, other), (nil, "an authority that this machine trusts")] {
                let status = await refusal(server, tls: try ClientTLS(trustRootsFile: file))
                #expect(status?.code == .unauthenticated)
                #expect(
                    status?.message
                        == "no TLS connection to localhost:\(server.address.port): the server's certificate "
                        + "is not signed by \(authority), or is out of date"
                )
            }
        }
    }

    /// Two certificates that differ in their dates alone: one is taken, the other is not.
    @Test func aCertificateThatIsOutOfDateIsNotTrusted() async throws {
        for (name, isTaken) in [("own.pem", true), ("own-expired.pem", false)] {
            let certificate = Fixture.certificate(name)
            let tls = try ServerTLS(
                certificateFile: certificate,
                privateKeyFile: Fixture.certificate("node.key"),
                clientTrustRootsFile: nil
            )
            try await Fixture.withServer(Fixture.counting, Fixture.configuration { $0.tls = tls }) { server in
                let status = await refusal(server, tls: try ClientTLS(trustRootsFile: certificate))
                if isTaken {
                    #expect(status == nil)
                } else {
                    #expect(status?.code == .unauthenticated)
                    #expect(status?.message.contains("out of date") == true, "\(String(describing: status))")
                }
            }
        }
    }

    /// Both authorities are trusted first, then the server shows the other certificate, then the first authority goes:
    /// nobody who connects at any moment is refused, and who is connected stays.
    @Test func anAuthorityIsExchangedWhileConnectionsBegin() async throws {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mien-tls-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }
        let (first, second) = (Fixture.certificate("authority.pem"), Fixture.certificate("own.pem"))
        let both = folder.appendingPathComponent("both.pem").path
        try [first, second].map { try String(contentsOfFile: $0, encoding: .utf8) }.joined()
            .write(toFile: both, atomically: true, encoding: .utf8)
        let serverTLS = try ServerTLS(
            certificateFile: Fixture.certificate("node.pem"),
            privateKeyFile: Fixture.certificate("node.key")
        )
        let clientTLS = try ClientTLS(trustRootsFile: first)

        try await Fixture.withServer(Fixture.counting, Fixture.configuration { $0.tls = serverTLS }) { server in
            let standing = try await Fixture.connect(server, tls: clientTLS, host: "localhost")
            let connecting = Connecting()
            try await withThrowingTaskGroup(of: Void.self) { group in
                for _ in 0..<2 {
                    group.addTask {
                        while !connecting.isOver.load(ordering: .relaxed) {
                            let status = await refusal(server, tls: clientTLS)
                            connecting.ends.withLock { $0.append(status) }
                        }
                    }
                }
                defer { connecting.isOver.store(true, ordering: .relaxed) }
                func someConnect() async throws {
                    let count = connecting.count
                    try await Fixture.waitUntil { connecting.count >= count + 20 }
                }
                try await someConnect()
                clientTLS.adopt(try ClientTLS(trustRootsFile: both))
                try await someConnect()
                serverTLS.adopt(
                    try ServerTLS(certificateFile: second, privateKeyFile: Fixture.certificate("node.key"))
                )
                try await someConnect()
                clientTLS.adopt(try ClientTLS(trustRootsFile: second))
                try await someConnect()
            }
            #expect(connecting.ends.withLock { $0.compactMap(\.self) } == [])
            #expect(await refusal(server, tls: try ClientTLS(trustRootsFile: first))?.code == .unauthenticated)
            let answer = try await standing.call(DeleteCollection(name: "5"), deadline: Fixture.soon)
            #expect(answer.faceCount == 5)
            await standing.close()
        }
    }

    @Test func aCertificateTellsItsLastSecond() throws {
        let key = Fixture.certificate("node.key")
        let ended = try ServerTLS(certificateFile: Fixture.certificate("own-expired.pem"), privateKeyFile: key)
        #expect(
            ended.expiry == CertificateExpiry(file: Fixture.certificate("own-expired.pem"), lastSecond: 1_609_459_200)
        )
        let roots = try ClientTLS(trustRootsFile: Fixture.certificate("own.pem"))
        #expect(roots.trustRootsExpiry?.lastSecond == 4_922_899_200)
        #expect(try ClientTLS().trustRootsExpiry == nil)
    }

    @Test func callersWithoutACertificateAreRefusedWhereOneIsAskedFor() async throws {
        let configuration = try Self.configuration(clientTrustRootsFile: Fixture.certificate("authority.pem"))
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let without = try ClientTLS(trustRootsFile: Fixture.certificate("authority.pem"))
            #expect(await refusal(server, tls: without) != nil)
            let with = try ClientTLS(
                trustRootsFile: Fixture.certificate("authority.pem"),
                certificateFile: Fixture.certificate("node.pem"),
                privateKeyFile: Fixture.certificate("node.key")
            )
            let connection = try await Fixture.connect(server, tls: with, host: "localhost")
            #expect(connection.isOpen)
        }
    }

    @Test func aPlainCallerAtATLSPortIsClosed() async throws {
        try await Fixture.withServer(Fixture.counting, Self.configuration()) { server in
            let status = await refusal(server, tls: nil)
            #expect(status?.code == .unavailable)
            #expect(status?.message.contains("both sides use TLS or neither") == true, "\(String(describing: status))")
        }
    }

    @Test func aTLSCallerAtAPlainPortIsClosed() async throws {
        try await Fixture.withServer(Fixture.counting) { server in
            let tls = try ClientTLS(trustRootsFile: Fixture.certificate("authority.pem"))
            let status = try #require(await refusal(server, tls: tls))
            #expect(!status.message.contains("OPENSSL") && !status.message.contains("/"), "\(status)")
        }
    }

    /// As by a server that has too many connections without a hello.
    @Test func aTLSCallerThatIsClosedBeforeItsHelloIsToldWhyThatMayBe() async throws {
        let port = try RawPeer.listen { peer in _ = try? peer.readNow() }
        let tls = try ClientTLS(trustRootsFile: Fixture.certificate("authority.pem"))
        let status = await Fixture.status { () async throws(WireStatus) in
            try await WireConnection.connect(
                to: NodeAddress(host: "127.0.0.1", port: port),
                as: .client,
                token: Fixture.token,
                tls: tls,
                on: Fixture.group.next(),
                agent: "test",
                timeout: .seconds(10)
            )
        }
        // Another attempt may get in, and nothing was sent that the peer could have ended by.
        #expect(status?.code == .unavailable && status?.isLoss == false)
        let message = status?.message ?? ""
        #expect(message.contains("both sides use TLS or neither does"), "\(message)")
        #expect(message.contains("too many connections that have not said hello"), "\(message)")
    }

    @Test func filesThatCannotBeUsedAreNamed() throws {
        let missing = Fixture.certificate("missing.pem")
        let readme = Fixture.certificate("README.md")
        let certificate = Fixture.certificate("node.pem")
        let key = Fixture.certificate("node.key")
        #expect(throws: TLSError.unreadable(file: missing, errorNumber: ENOENT)) {
            try ServerTLS(certificateFile: missing, privateKeyFile: key)
        }
        #expect(throws: TLSError.noCertificate(file: readme)) {
            try ServerTLS(certificateFile: readme, privateKeyFile: key)
        }
        #expect(throws: TLSError.noPrivateKey(file: certificate)) {
            try ServerTLS(certificateFile: certificate, privateKeyFile: certificate)
        }
        let other = Fixture.certificate("authority.pem")
        #expect(throws: TLSError.keyMismatch(certificateFile: other, privateKeyFile: key)) {
            try ServerTLS(certificateFile: other, privateKeyFile: key)
        }
        #expect(throws: TLSError.noCertificate(file: key)) { try ClientTLS(trustRootsFile: key) }
        #expect(TLSError.unreadable(file: missing, errorNumber: ENOENT).description.contains("No such file"))
    }
}
