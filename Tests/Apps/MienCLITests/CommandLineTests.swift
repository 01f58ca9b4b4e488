import Testing
import mien

@Suite struct CommandLineTests {
    private static let verbs = [
        ["dev"], ["coordinator"], ["worker"], ["collection"], ["collection", "create"], ["collection", "describe"],
        ["collection", "list"], ["collection", "delete"], ["import"], ["export"], ["search"], ["face"],
        ["face", "get"], ["face", "list"], ["face", "delete"], ["status"], ["top"], ["generate"], ["metadata"],
        ["metadata", "migrate"], [],
    ]

    @Test(arguments: verbs)
    func everyVerbHasHelpWithAnExample(verb: [String]) async {
        let result = await mienCommand(verb + ["--help"])
        #expect(result.status == 0)
        #expect(result.error.isEmpty)
        #expect(result.output.contains("EXAMPLE"))
        let example = (["mien"] + verb).joined(separator: " ")
        #expect(result.output.contains(example))
        // An example that is broken over two lines cannot be pasted into a shell.
        let lines = result.output.split(separator: "\n", omittingEmptySubsequences: false)
        let examples = lines.drop { $0 != "EXAMPLE" }.dropFirst().prefix { !$0.isEmpty }
        #expect(!examples.isEmpty && examples.allSatisfy { $0.hasPrefix("  mien ") }, "\(examples)")
    }

    @Test func helpAndVersionAreAnswers() async {
        #expect(await mienCommand([]).status == 0)
        #expect(await mienCommand(["help", "import"]).output.contains("mien import"))
        let version = await mienCommand(["--version"])
        #expect(version.status == 0)
        #expect(!version.output.isEmpty)
    }

    @Test(arguments: [
        ["frobnicate"], ["search", "people"], ["search", "people", "--probes", "a.npy", "--face-id", "x"],
        ["search", "people", "--probes", "a.npy", "-k", "0"],
        ["search", "people", "--probes", "a.npy", "-k", "1000000000"],
        ["search", "people", "--probes", "a.npy", "-k", "-1"],
        ["search", "people", "--probes", "a.npy", "--effort", "lots"],
        ["search", "people", "--probes", "a.npy", "--effort", "recall:2"],
        ["search", "people", "--probes", "a.npy", "--threshold", "7"],
        ["search", "people", "--probes", "a.npy", "--min-coverage", "2"],
        ["search", "people", "--probes", "a.npy", "--person", ""],
        ["search", "people", "--probes", "a.npy", "--attribute", "gate"],
        ["search", "people", "--probes", "a.npy", "--attribute", "=north"],
        ["search", "people", "--probes", "a.npy", "--attribute", "a=1", "--attribute", "a=2"],
        ["search", "people", "--probes", "a.npy", "--created-from", "yesterday"],
        ["search", "people", "--probes", "a.npy", "--created-from", "2026-02-01", "--created-to", "2026-01-31"],
        ["face", "get", "people", "not-a-uuid"], ["face", "get", "people"],
        ["collection", "create", "Bad Name", "--dimension", "512", "--model", "m"],
        ["collection", "create", "people", "--dimension", "500", "--model", "m"],
        ["status", "--coordinator", "nowhere"], ["status", "--timeout", "0"],
        ["top", "--interval", "0"], ["top", "--json"],
        ["import", "people", "--embeddings", "a.npy", "--from-row", "-1"],
        ["dev", "--set", "no-equals-sign"], ["generate", "folder", "--faces", "10", "--profile", "studio"],
    ])
    func aWrongCommandLineEndsWith64(arguments: [String]) async {
        let result = await mienCommand(arguments)
        #expect(result.status == 64)
        #expect(result.error.hasPrefix("mien: "))
        #expect(result.output.isEmpty)
    }

    @Test(arguments: [
        (["status", "--timeout", "0"], "--timeout must be more than 0 and at most 86400 seconds."),
        (["status", "--timeout", "-1"], "--timeout must be more than 0 and at most 86400 seconds."),
        (["status", "--workers", "-1"], "--workers must not be negative."),
        (["face", "list", "people", "--limit", "-1"], "--limit must be at least 1."),
        (["import", "people", "--embeddings", "a.npy", "--from-row", "-1"], "--from-row must not be negative."),
        (["import", "people", "--embeddings", "a.npy", "--batch", "-1"], "--batch must be from 1 to 4096."),
        (["generate", "folder", "--faces", "1", "--probes", "-1"], "--probes must be from 0 to 1000000."),
    ])
    func aNumberOutOfRangeIsToldWithItsRange(arguments: [String], sentence: String) async {
        let result = await mienCommand(arguments)
        #expect(result.status == 64)
        #expect(result.error.hasPrefix("mien: \(sentence)\n"), "\(result.error)")
    }

    /// The words of the cluster's sentences for programs are another's to change: what is not found stays as it is.
    @Test func adviceForProgramsIsSaidInOptions() {
        #expect(
            CommandWords.translated(
                "2 rows may be written; send the same batch again under the same idempotency key, which writes "
                    + "nothing twice."
            ) == "2 rows may be written; run the same command again, which writes nothing twice."
        )
        #expect(
            CommandWords.translated("Give a longer deadline, or pass a minimum coverage.")
                == "Give a longer --timeout, or pass --min-coverage."
        )
        #expect(CommandWords.translated("the disk is full") == "the disk is full")
    }

    @Test func anAbsentClusterIsUnavailable() async {
        let result = await mienCommand(["status", "--coordinator", "127.0.0.1:1"])
        #expect(result.status == 69)
        #expect(result.error.hasPrefix("mien: cannot reach 127.0.0.1:1"))
        #expect(result.error.split(separator: "\n").count == 1)
    }

    @Test func theCoordinatorMayComeFromTheEnvironment() async throws {
        try await ToyCluster.run { _, address in
            let one = [" \(address)\t", "\(address),", "\(address), ", " , \(address)"]
            for addresses in ["127.0.0.1:1,\(address)", "127.0.0.1:1, \(address) "] + one {
                let status = await mienCommand(["status"], environment: ["MIEN_COORDINATOR": addresses])
                #expect(status.status == 0, "\(status)")
            }
        }
        for addresses in ["nowhere", ",", " , "] {
            let wrong = await mienCommand(["status"], environment: ["MIEN_COORDINATOR": addresses])
            #expect(wrong.status == 78 && wrong.error.contains("MIEN_COORDINATOR must be addresses"), "\(wrong)")
        }
    }

    @Test(arguments: [["status"], ["generate", "/nonexistent", "--faces", "1"], ["dev"], ["worker"], ["coordinator"]])
    func variablesThatNothingReadsEndEveryVerb(verb: [String]) async {
        let result = await mienCommand(verb, environment: ["MIEN_COORDINATR": "a:1", "MIEN_KERNEL_LEVEL": "banana"])
        #expect(result.status == 78)
        let lines = result.error.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines[0].hasSuffix("MIEN_COORDINATR is not a known variable; did you mean MIEN_COORDINATOR?"))
        #expect(lines[1].contains("MIEN_KERNEL_LEVEL must be one of scalar, neon, avx2, avx512, but is"))
    }

    @Test func theTokenComesFromAFileOrTheEnvironment() async throws {
        let folder = try ScratchFolder()
        let token = "0123456789abcdefghij"
        let path = try folder.write("token", token + "\n")
        try await ToyCluster.run(token: token) { _, address in
            let status = ["status", "--coordinator", address]
            #expect(await mienCommand(status).status == 77)
            #expect(await mienCommand(status, environment: ["MIEN_TOKEN": token]).status == 0)
            let exposed = await mienCommand(status + ["--token-file", path])
            #expect(exposed.status == 78)
            #expect(exposed.error.contains("chmod 600"))
            #expect(chmod600(path))
            #expect(await mienCommand(status + ["--token-file", path]).status == 0)
            #expect(await mienCommand(status, environment: ["MIEN_TOKEN_FILE": path]).status == 0)
            let both = await mienCommand(status, environment: ["MIEN_TOKEN_FILE": path, "MIEN_TOKEN": token])
            #expect(both.status == 78)
            #expect(!both.error.contains(token))
        }
        #expect(await mienCommand(["status", "--token-file", folder.file("absent")]).status == 78)
    }

    /// Before anything is connected: at these addresses nobody would answer.
    @Test(arguments: ["192.0.2.1:7400", "coordinator-1.invalid:7400", "[2001:db8::1]:7400"])
    func aTokenIsNotShownBeyondThisMachineWithoutTLS(address: String) async {
        let environment = ["MIEN_TOKEN": "0123456789abcdefghij"]
        let status = ["status", "--coordinator", "127.0.0.1:1", "--coordinator", address]
        let refused = await mienCommand(status, environment: environment)
        #expect(refused.status == 78 && refused.output.isEmpty)
        #expect(
            refused.error == "mien: \(address) is beyond this machine, and without TLS everyone between could read the "
                + "token; give --tls-trust FILE or MIEN_TLS_TRUST, which may be 'system'\n"
        )
        // The file that a variable names is read as that of the option is.
        let absent = await mienCommand(status, environment: environment.merging(["MIEN_TLS_TRUST": "/absent"]) { $1 })
        #expect(absent.status == 78 && absent.error.contains("/absent"), "\(absent.error)")
    }

    @Test(arguments: ["dev", "coordinator", "worker"])
    func aWrongNodeConfigurationEndsWith78AndEveryProblem(role: String) async throws {
        let folder = try ScratchFolder()
        let file = try folder.write("node.yaml", "\(role):\n  listne: 127.0.0.1:0\nlog:\n  level: loud\n")
        let result = await mienCommand([role, "--config", file])
        #expect(result.status == 78)
        let lines = result.error.split(separator: "\n")
        #expect(lines.count == 2)
        #expect(lines.allSatisfy { $0.hasPrefix("mien: \(file):") })
    }

    @Test func flagsReachTheConfiguration() async {
        let result = await mienCommand([
            "worker", "--listen", "10.0.0.1:7401", "--coordinator", "127.0.0.1:1", "--coordinator", "127.0.0.1:1",
            "--set", "worker.heartbeat_interval=fast", "--log-level", "loud",
        ])
        #expect(result.status == 78)
        for key in ["worker.listen", "worker.coordinators", "worker.heartbeat_interval", "log.level"] {
            #expect(result.error.contains(key))
        }
    }
}
