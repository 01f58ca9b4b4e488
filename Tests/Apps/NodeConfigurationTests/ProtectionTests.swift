import Foundation
import NodeConfiguration
import Testing

/// Secrets, and the rule that nothing is opened to a network without TLS and a token.
struct ProtectionTests {
    private let folder: TemporaryFolder
    private let tls: [String: String]
    private let token = "0123456789abcdef"

    init() throws {
        folder = try TemporaryFolder()
        tls = [
            "tls.certificate": try folder.file("node.pem", "certificate", permissions: 0o644),
            "tls.private_key": try folder.file("node.key", "key", permissions: 0o640),
        ]
    }

    @Test(arguments: ["0.0.0.0:7401", "[::]:7401", "10.0.0.1:7401", "[fe80::1]:7401", "128.0.0.1:0"])
    func bindsBeyondLoopbackNeedBothTLSAndAToken(address: String) throws {
        let listen = ["worker.listen": address, "worker.advertise": "worker-1.internal:7401"]
        let withTLS = listen.merging(tls) { $1 }
        let secret = ["MIEN_TOKEN": token]
        let reachable = "command line: worker.listen is \(address), which other machines can reach, without"
        let bare = try problems(flags: listen, in: folder)
        #expect(
            bare == [
                "\(reachable) TLS and a token; set tls.certificate and tls.private_key and MIEN_TOKEN or token_file, "
                    + "or listen on 127.0.0.1"
            ]
        )
        let tokenOnly = try problems(environment: secret, flags: listen, in: folder)
        #expect(tokenOnly.count == 1 && tokenOnly[0].hasPrefix("\(reachable) TLS;"))
        let tlsOnly = try problems(flags: withTLS, in: folder)
        #expect(tlsOnly.count == 1 && tlsOnly[0].hasPrefix("\(reachable) a token;"))
        #expect(try problems(environment: secret, flags: withTLS, in: folder) == [])
    }

    @Test func everyRoleRefusesAnUnprotectedBind() {
        let open = "10.0.0.1:7400"
        #expect(throws: NodeConfigurationError.self) {
            try CoordinatorConfiguration(from: ConfigurationSources(flags: ["coordinator.listen": open]))
        }
        #expect(throws: NodeConfigurationError.self) {
            try DevConfiguration(from: ConfigurationSources(environment: ["MIEN_DEV_LISTEN": open]))
        }
    }

    @Test(arguments: ["10.0.0.1:7400", "coordinator-1.internal:7400", "[fe80::1]:7400"])
    func aWorkerShowsItsTokenToACoordinatorBeyondLoopbackUnderTLSAlone(address: String) throws {
        let flags = ["worker.coordinators": "127.0.0.1:7400,\(address)"]
        let secret = ["MIEN_TOKEN": token]
        #expect(
            try problems(environment: secret, flags: flags, in: folder) == [
                "command line: worker.coordinators: \(address) is beyond this machine, and without TLS everyone "
                    + "between could read the token; set tls.certificate and tls.private_key"
            ]
        )
        #expect(try problems(environment: secret, flags: flags.merging(tls) { $1 }, in: folder) == [])
        #expect(try problems(flags: flags, in: folder) == [])
        #expect(try problems(environment: secret, flags: ["worker.coordinators": "localhost:1"], in: folder) == [])
    }

    @Test func everyInterfaceNeedsAnAdvertisedAddress() throws {
        let flags = tls.merging(["worker.listen": "0.0.0.0:7401"]) { $1 }
        let found = try problems(environment: ["MIEN_TOKEN": token], flags: flags, in: folder)
        #expect(found.count == 1 && found[0].contains("worker.advertise must be set"))
    }

    @Test(arguments: [0o604, 0o640, 0o620, 0o644, 0o601])
    func tokenFilesThatOthersCanOpenAreRefused(permissions: Int) throws {
        let file = try folder.file("token", token, permissions: permissions)
        let found = try problems(ofWorker: "token_file: \(file)\n", in: folder)
        #expect(
            found == [
                "worker.yaml:1: token_file: token has mode 0\(String(permissions, radix: 8)), so other users can "
                    + "read it; run: chmod 600 token"
            ]
        )
    }

    @Test func tokenFilesAreReadWithoutTheirLineEnd() throws {
        let file = try folder.file("token", token + "\n")
        let worker = try WorkerConfiguration(from: ConfigurationSources(flags: ["token_file": file]))
        #expect(worker.token?.bytes == Array(token.utf8))
    }

    @Test func shortAndUnprintableTokensAreRefusedWithoutBeingShown() throws {
        let short = try problems(environment: ["MIEN_TOKEN": "short-secret-15"], in: folder)
        #expect(short.count == 1 && short[0].hasPrefix("MIEN_TOKEN: the token has 15 characters and needs at least 16"))
        #expect(!short[0].contains("short-secret"))
        let spaced = try problems(environment: ["MIEN_TOKEN": "a secret with spaces"], in: folder)
        #expect(spaced == ["MIEN_TOKEN: the token may hold only printable ASCII characters without spaces"])
        let long = try problems(environment: ["MIEN_TOKEN": String(repeating: "x", count: 513)], in: folder)
        #expect(long == ["MIEN_TOKEN: the token has 513 characters and may have 512"])
        let missing = try problems(flags: ["token_file": folder.path + "/none"], in: folder)
        #expect(missing == ["command line: token_file: none cannot be read: no such file or directory"])
    }

    @Test func tokensFollowThePrecedenceOfTheirSources() throws {
        let other = try folder.file("token", "fedcba9876543210")
        let yaml = try folder.file("worker.yaml", "token_file: \(other)\n")
        func bytes(_ sources: ConfigurationSources) throws -> String {
            String(decoding: try #require(try WorkerConfiguration(from: sources).token).bytes, as: UTF8.self)
        }
        let environment = ["MIEN_TOKEN": token]
        #expect(try bytes(ConfigurationSources(file: yaml)) == "fedcba9876543210")
        #expect(try bytes(ConfigurationSources(file: yaml, environment: environment)) == token)
        let flags = ["token_file": other]
        #expect(try bytes(ConfigurationSources(environment: environment, flags: flags)) == "fedcba9876543210")
        let both = try problems(environment: ["MIEN_TOKEN": token, "MIEN_TOKEN_FILE": other], in: folder)
        #expect(both == ["MIEN_TOKEN: MIEN_TOKEN and MIEN_TOKEN_FILE are both set; keep one of them"])
    }

    @Test func aTokenIsNeverAFlagOrAKeyOfTheFile() throws {
        #expect(try problems(flags: ["token": token], in: folder).count == 1)
        #expect(try problems(ofWorker: "token: \(token)\n", in: folder).count == 1)
    }

    @Test func tokensAreNotPrinted() throws {
        let worker = try WorkerConfiguration(from: ConfigurationSources(environment: ["MIEN_TOKEN": token]))
        var dumped = ""
        dump(worker, to: &dumped)
        for text in ["\(worker)", String(reflecting: worker), dumped] {
            #expect(!text.contains(token))
            #expect(!text.contains("48, 49, 50"))
        }
    }

    @Test func tokensAreEqualWhenEveryByteIs() throws {
        func token(_ text: String) throws -> AccessToken? {
            try WorkerConfiguration(from: ConfigurationSources(environment: ["MIEN_TOKEN": text])).token
        }
        #expect(try token("0123456789abcdef") == token("0123456789abcdef"))
        #expect(try token("0123456789abcdef") != token("0123456789abcdeg"))
        #expect(try token("0123456789abcdef") != token("0123456789abcdef0"))
    }

    @Test func tlsNeedsBothFilesAndAKeyThatOthersCannotRead() throws {
        let key = "tls.private_key"
        let half = try problems(flags: [key: tls[key] ?? ""], in: folder)
        #expect(half == ["command line: tls.private_key is set but tls.certificate is not; TLS needs both"])
        let exposed = try folder.file("open.key", "key", permissions: 0o644)
        let found = try problems(flags: tls.merging([key: exposed]) { $1 }, in: folder)
        #expect(found.count == 1 && found[0].hasSuffix("other users can read it; run: chmod o= open.key"))
        let missing = try problems(flags: tls.merging(["tls.trust_roots": folder.path + "/ca"]) { $1 }, in: folder)
        #expect(missing == ["command line: tls.trust_roots: ca cannot be read: no such file or directory"])
    }
}
