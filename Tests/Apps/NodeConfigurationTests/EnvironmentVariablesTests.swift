import NodeConfiguration
import Testing

@Suite struct EnvironmentVariablesTests {
    private func problems(_ environment: [String: String]) -> [String] {
        EnvironmentVariables.problems(in: environment).map(\.description)
    }

    @Test(arguments: [
        ("MIEN_LISTEM", "MIEN_DEV_LISTEN"), ("MIEN_COORDINATR", "MIEN_COORDINATOR"), ("MIEN_TOKN", "MIEN_TOKEN"),
        ("MIEN_KERNEL", "MIEN_KERNEL_LEVEL"), ("MIEN_LOGLEVEL", "MIEN_LOG_LEVEL"),
    ])
    func anUnknownNameIsToldWithTheNearestKnownOne(name: String, nearest: String) {
        #expect(problems([name: "x"]) == ["\(name): \(name) is not a known variable; did you mean \(nearest)?"])
    }

    @Test func aNameLikeNoOtherIsToldToo() {
        #expect(problems(["MIEN_XYZZY_PLUGH": "1"]) == ["MIEN_XYZZY_PLUGH: MIEN_XYZZY_PLUGH is not a known variable"])
        let ofSection = problems(["MIEN_TLS_XYZZYPLUGHPLOVER": "1"])
        #expect(
            ofSection == [
                "MIEN_TLS_XYZZYPLUGHPLOVER: MIEN_TLS_XYZZYPLUGHPLOVER is not a known variable; known here: "
                    + "MIEN_TLS_CERTIFICATE, MIEN_TLS_PRIVATE_KEY, MIEN_TLS_TRUST, MIEN_TLS_TRUST_ROOTS"
            ]
        )
    }

    @Test func namesThatSomethingReadsOrNobodyTypedArePassedOver() {
        let known = [
            "MIEN_DEV_LISTEN", "MIEN_TOKEN", "MIEN_TOKEN_FILE", "MIEN_COORDINATOR", "MIEN_TEST_SEED", "MIEN_TLS_TRUST",
            "MIEN_QUICKSTART_DATA", "MIEN_BUILD_JOBS", "MIEN_BINARY", "MIENNE", "mien_listem", "PATH",
            "MIEN_SERVICE_HOST", "MIEN_SERVICE_PORT", "MIEN_COORDINATOR_SERVICE_PORT_WIRE", "MIEN_PORT_7400_TCP",
            "MIEN_PORT_7400_TCP_ADDR",
        ]
        #expect(problems(Dictionary(uniqueKeysWithValues: known.map { ($0, "1") })).isEmpty)
        #expect(problems(["MIEN_PORT": "tcp://10.0.0.1:7400", "MIEN_LISTEM": ""]).isEmpty)
        #expect(problems(["MIEN_PORT": "7400"]).count == 1)
    }

    @Test func aKernelLevelThatThereIsNotIsRefusedWithThoseThereAre() {
        #expect(
            problems(["MIEN_KERNEL_LEVEL": "banana"]) == [
                "MIEN_KERNEL_LEVEL: MIEN_KERNEL_LEVEL must be one of scalar, neon, avx2, avx512, but is \"banana\""
            ]
        )
        #expect(problems(["MIEN_KERNEL_LEVEL": "scalar"]).isEmpty)
        #expect(problems(["MIEN_KERNEL_LEVEL": ""]).isEmpty)
    }
}
