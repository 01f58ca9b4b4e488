import Foundation
import NodeConfiguration
import NodeServer
import Observability
import Testing
import WireTransport

/// What a node knows of its certificates, and that it takes others while it runs.
final class CertificateTests {
    private static let certificates = URL(fileURLWithPath: #filePath).resolvingSymlinksInPath()
        .deletingLastPathComponent().appendingPathComponent("../../Wire/WireTransportTests/Certificates")
        .standardizedFileURL

    private let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mien-\(UUID().uuidString)")

    init() throws {
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        try put("node.key", as: "key.pem")
        try put("authority.pem", as: "trust.pem")
    }

    deinit { try? FileManager.default.removeItem(at: folder) }

    private func path(_ name: String) -> String { folder.appendingPathComponent(name).path }

    private func put(_ certificate: String, as name: String) throws {
        let content = try Data(contentsOf: Self.certificates.appendingPathComponent(certificate))
        try content.write(to: folder.appendingPathComponent(name))
        try FileManager.default.setAttributes([.posixPermissions: 0o600], ofItemAtPath: path(name))
    }

    private func load() throws -> NodeTLS {
        let flags = [
            "tls.certificate": path("certificate.pem"), "tls.private_key": path("key.pem"),
            "tls.trust_roots": path("trust.pem"),
        ]
        return try #require(try NodeTLS.load(try WorkerConfiguration(from: ConfigurationSources(flags: flags)).tls))
    }

    /// A value of the metrics that it tells.
    private func value(_ series: String, of tls: NodeTLS) -> Double? {
        let registry = MetricRegistry()
        registry.collect(tls.watched.collect)
        let line = registry.rendered().split(separator: "\n").first { $0.hasPrefix(series + " ") }
        return line?.split(separator: " ").last.flatMap { Double($0) }
    }

    private let certificate = #"mien_certificate_remaining_seconds{kind="certificate"}"#
    private let trustRoots = #"mien_certificate_remaining_seconds{kind="trust_roots"}"#

    @Test func whatIsLeftOfEachFileIsTold() throws {
        try put("node.pem", as: "certificate.pem")
        let tls = try load()
        let century = 90 * 365 * 86_400.0
        #expect(try #require(value(certificate, of: tls)) > century)
        // Until the day after.
        #expect(try #require(value(trustRoots, of: tls)) - #require(value(certificate, of: tls)) > 80_000)
        #expect(value("mien_certificate_files_refused", of: tls) == 0)
        #expect(tls.watched.remark == nil)
    }

    @Test func aCertificateThatIsOutOfDateIsTold() throws {
        try put("own-expired.pem", as: "certificate.pem")
        let tls = try load()
        #expect(try #require(value(certificate, of: tls)) < -5 * 365 * 86_400)
        #expect(
            tls.watched.remark
                == "A certificate in \(path("certificate.pem")) is out of date; peers refuse what it stands for."
        )
    }

    @Test func aFileThatIsBrokenLeavesThoseBeforeInUse() throws {
        try put("node.pem", as: "certificate.pem")
        let tls = try load()
        let before = tls.server.context
        try Data("no certificate".utf8).write(to: folder.appendingPathComponent("trust.pem"))
        try put("own.pem", as: "certificate.pem")
        let error = #expect(throws: NodeStartError.self) { try tls.watched.reload() }
        let reason = "the TLS file \(path("trust.pem")) holds no certificate in PEM form"
        #expect(error?.description == reason)
        // Not one of two files either.
        #expect(tls.server.context === before)
        #expect(value("mien_certificate_files_refused", of: tls) == 1)
        #expect(
            tls.watched.remark?.hasSuffix("those before are in use: \(reason).") == true,
            "\(tls.watched.remark ?? "")"
        )

        try put("own.pem", as: "trust.pem")
        try tls.watched.reload()
        #expect(tls.server.context !== before)
        #expect(value("mien_certificate_files_refused", of: tls) == 0)
        #expect(tls.watched.remark == nil)
    }

    @Test func theEndIsToldOfThirtySevenAndOneDaysBefore() {
        var notices = ExpiryNoticeStateMachine()
        let day: Int64 = 86_400
        let script: [(Int64, ExpiryNoticeStateMachine.Action)] = [
            (31 * day, .none), (30 * day, .none), (30 * day - 1, .ends), (8 * day, .none), (7 * day - 1, .ends),
            (2 * day, .none), (day - 1, .ends), (0, .none), (-1, .hasEnded), (-day, .none),
            // Another certificate, which is told of as the one before was.
            (90 * day, .none), (6 * day, .ends), (5 * day, .none), (-1, .hasEnded),
        ]
        for (remaining, action) in script {
            let told = notices.event(remainingSeconds: remaining)
            #expect(told == action, "\(remaining)")
        }
    }

    @Test func aNodeThatStartsLateIsToldOnce() {
        var notices = ExpiryNoticeStateMachine()
        var told = [3_600, 3_590].map { notices.event(remainingSeconds: $0) }
        #expect(told == [.ends, .none])
        var late = ExpiryNoticeStateMachine()
        told = [-1, -2].map { late.event(remainingSeconds: $0) }
        #expect(told == [.hasEnded, .none])
    }
}
