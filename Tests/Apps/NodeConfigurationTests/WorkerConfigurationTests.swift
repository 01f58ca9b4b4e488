import Foundation
import Logging
import NodeConfiguration
import Testing

struct WorkerConfigurationTests {
    @Test func laterSourcesOverrideEarlierOnes() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file(
            "worker.yaml",
            "worker:\n  heartbeat_interval: 250ms\n  search_threads: 7\nlimits: {max_k: 11}\n"
        )
        let sources = ConfigurationSources(
            file: file,
            environment: [
                "MIEN_WORKER_HEARTBEAT_INTERVAL": "300ms", "MIEN_WORKER_SEARCH_THREADS": "8", "MIEN_LOG_LEVEL": "",
            ],
            flags: ["worker.search_threads": "9"]
        )
        let worker = try WorkerConfiguration(from: sources)
        #expect(worker.limits.maxBatch == 4096)
        #expect(worker.limits.maxK == 11)
        #expect(worker.heartbeatInterval == .milliseconds(300))
        #expect(worker.searchThreads == 9)
        #expect(worker.backgroundPercent == 50)
        #expect(worker.log.level == .info)
    }

    @Test func listsAreReadFromEverySource() throws {
        let folder = try TemporaryFolder()
        let file = try folder.file("worker.yaml", "worker:\n  coordinators: [a.internal:1, '10.0.0.1:2']\n")
        let expected = [NetworkAddress(host: "a.internal", port: 1), NetworkAddress(host: "10.0.0.1", port: 2)]
        let texts = "a.internal:1, 10.0.0.1:2"
        for sources in [
            ConfigurationSources(file: file),
            ConfigurationSources(environment: ["MIEN_WORKER_COORDINATORS": texts]),
            ConfigurationSources(flags: ["worker.coordinators": texts]),
        ] {
            #expect(try WorkerConfiguration(from: sources).coordinators == expected)
        }
    }

    @Test func sizesAndDurationsAreReadInTheirUnits() throws {
        let worker = try WorkerConfiguration(
            from: ConfigurationSources(flags: [
                "limits.max_frame": "65536KiB", "worker.memory.partition_map": "1TiB",
                "limits.unauthenticated_time": "2m",
            ])
        )
        #expect(worker.limits.maxFrameBytes == 67_108_864)
        #expect(worker.memory.partitionMapBytes == 1_099_511_627_776)
        #expect(worker.limits.unauthenticatedTime == .seconds(120))
    }

    @Test(arguments: [
        ("limits.max_frame", "16MB"), ("limits.max_frame", "16"), ("limits.max_frame", "16 MiB"),
        ("limits.max_frame", "16383KiB"), ("limits.max_frame", "257MiB"), ("limits.max_frame", "-1MiB"),
        ("limits.max_frame", "99999999999999999999TiB"), ("limits.max_frame", "9223372036854775807TiB"),
        ("worker.heartbeat_interval", "49ms"), ("worker.heartbeat_interval", "61s"),
        ("worker.heartbeat_interval", "1"), ("worker.heartbeat_interval", "0.5s"),
        ("worker.heartbeat_interval", "1us"),
        ("worker.background_percent", "0"), ("worker.background_percent", "101"),
        ("worker.search_threads", "0"), ("worker.search_threads", "1025"), ("worker.search_threads", "+4"),
        ("worker.search_threads", "many"), ("limits.max_k", "0"), ("limits.max_k", "1000001"), ("limits.max_k", "1e3"),
        ("worker.coordinators", "a:1,a:1"), ("worker.coordinators", "a:0"), ("worker.coordinators", "a:1,,b:1"),
        ("worker.coordinators", "0.0.0.0:1"), ("worker.listen", "worker.internal:1"), ("worker.listen", "127.0.0.1"),
        ("worker.advertise", "10.0.0.1:0"), ("worker.slow_search", "601s"), ("worker.recall_check_interval", "1000001"),
        ("worker.admin_listen", "on"),
        ("worker.admin_listen", "metrics.internal:80"), ("worker.data", "a\0b"), ("log.level", "verbose"),
        ("log.format", "JSON"),
    ])
    func valuesOutOfRangeAreRefusedFromTheCommandLine(key: String, text: String) throws {
        let found = try problems(flags: [key: text], in: TemporaryFolder())
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("command line: \(key) must be ") == true)
    }

    @Test func allProblemsAreListedAtOnceInTheOrderOfTheirPlaces() throws {
        let folder = try TemporaryFolder()
        let yaml = """
            worker:
              listn: 127.0.0.1:1
              search_threads: 0
              coordinators: 127.0.0.1:7400
            log:
              level: loud
              level: info
            limits: 5
            coordinator:
              listen: nowhere
            """
        let found = try problems(
            ofWorker: yaml,
            environment: ["MIEN_WORKER_DATTA": "x", "MIEN_LIMITS_MAX_K": "0", "UNRELATED": "1"],
            flags: ["worker.search_thread": "1", "worker.heartbeat_interval": "1d"],
            in: folder
        )
        let keys =
            "admin_listen, advertise, background_percent, coordinators, copy_rate, data, "
            + "erasure_period, erasure_retention, heartbeat_interval, listen, memory, recall_check_interval, "
            + "search_threads, slow_search, verify_period"
        let limits = "max_batch, max_frame, max_k, max_probes, max_streams, unauthenticated_bytes, unauthenticated_time"
        let ip = "an IP address and a port from 0 (any free one) to 65535, such as 127.0.0.1:7400 or [::1]:7400"
        #expect(
            found.prefix(8) == [
                "worker.yaml:2: worker.listn is not a known key; did you mean worker.listen? Known here: \(keys)",
                "worker.yaml:3: worker.search_threads must be auto or a whole number from 1 to 1024, but is \"0\"",
                "worker.yaml:4: worker.coordinators must be a list, but is a single value",
                "worker.yaml:6: log.level must be one of trace, debug, info, notice, warning, error, critical, "
                    + "but is \"loud\"",
                "worker.yaml:7: level is set again; it is already set on line 6",
                "worker.yaml:8: limits must be a section with the keys \(limits), but is a single value",
                "worker.yaml:10: coordinator.listen must be \(ip), but is \"nowhere\"",
                "MIEN_LIMITS_MAX_K: limits.max_k must be a whole number from 1 to 1000, but is \"0\"",
            ]
        )
        #expect(found.count == 11)
        #expect(
            found[8].hasPrefix(
                "MIEN_WORKER_DATTA: MIEN_WORKER_DATTA is not a known variable; did you mean MIEN_WORKER_DATA? Known"
            )
        )
        #expect(
            found.contains {
                $0.hasPrefix("command line: worker.search_thread is not a known key; did you mean worker.search_thre")
            }
        )
        #expect(
            found.contains {
                $0.hasPrefix("command line: worker.heartbeat_interval must be a duration from 50ms to 1m")
            }
        )
    }

    @Test func duplicateSectionsAreReportedWithBothLinesAndTheRestIsRead() throws {
        let folder = try TemporaryFolder()
        let yaml =
            "log:\n  level: info\nworker:\n  data: d\n# again\nlog:\n  format: json\n  x: 1\nlimits:\n  max_kk: 3\n"
        let found = try problems(ofWorker: yaml, in: folder)
        #expect(found.count == 2)
        #expect(found.first == "worker.yaml:6: log is set again; it is already set on line 1")
        #expect(
            found.last?.hasPrefix("worker.yaml:10: limits.max_kk is not a known key; did you mean limits.max_k?")
                == true
        )
        let flow = try problems(ofWorker: "log: {level: info, level: debug}\n", in: folder)
        #expect(flow == ["worker.yaml:1: level is set again; it is already set on line 1"])
    }

    @Test(arguments: [
        ("worker: [", "not valid YAML"), ("a: b: c", "not valid YAML"), ("- 1\n- 2\n", "the file must be a section"),
        ("{}\n---\n{}\n", "not valid YAML"), ("\tworker: 1", "not valid YAML"),
        ("? [a]\n: 1\n", "(a list) is not a known"),
        ("worker: &a {data: *a}", "not valid YAML"),
    ])
    func brokenFilesGiveOneSentence(yaml: String, part: String) throws {
        let found = try problems(ofWorker: yaml, in: TemporaryFolder())
        #expect(found.count == 1)
        #expect(found.first?.hasPrefix("worker.yaml:") == true)
        #expect(found.first?.contains(part) == true)
    }

    @Test func deepNestingIsRefusedWithoutACrash() throws {
        let folder = try TemporaryFolder()
        #expect(try !problems(ofWorker: String(repeating: "[", count: 200_000), in: folder).isEmpty)
        #expect(try !problems(ofWorker: String(repeating: "- ", count: 100_000), in: folder).isEmpty)
    }

    @Test func emptyFilesAndEmptySectionsMeanTheDefaults() throws {
        let folder = try TemporaryFolder()
        for yaml in ["", "# nothing\n", "worker:\nlog: ~\n", "worker:\n  advertise:\ntoken_file: null\n"] {
            #expect(try problems(ofWorker: yaml, in: folder) == [])
        }
    }

    @Test func emptyValuesOfNeededKeysAreRefused() throws {
        let found = try problems(ofWorker: "worker:\n  data:\n", in: TemporaryFolder())
        #expect(found == ["worker.yaml:2: worker.data must be a path, but is empty"])
    }

    @Test func unreadableFilesSayWhy() throws {
        let folder = try TemporaryFolder()
        func reason(_ path: String) -> String? {
            do throws(NodeConfigurationError) {
                _ = try WorkerConfiguration(from: ConfigurationSources(file: path))
                return nil
            } catch {
                return error.description
            }
        }
        let missing = folder.path + "/none.yaml"
        #expect(reason(missing) == "\(missing): cannot be read: no such file or directory")
        #expect(reason(folder.path) == "\(folder.path): cannot be read: it is not a regular file")
        let long = try folder.file("long.yaml", String(repeating: "#", count: 300_000))
        #expect(reason(long) == "\(long): cannot be read: it is longer than 256KiB")
        let binary = folder.path + "/binary.yaml"
        try Data([0xFF, 0xFE, 0x00]).write(to: URL(fileURLWithPath: binary))
        #expect(reason(binary) == "\(binary): cannot be read: it is not UTF-8 text")
    }

    @Test func controlCharactersAndLongTextsStayOnTheirLine() throws {
        let folder = try TemporaryFolder()
        let found = try problems(flags: ["log.level": "a\nb" + String(repeating: "x", count: 500)], in: folder)
        #expect(found.count == 1)
        #expect(found[0].contains("\"a bxxx"))
        #expect(found[0].count < 200)
    }

    @Test func portsThatClashInOneFileAreRefused() throws {
        let folder = try TemporaryFolder()
        let clash = "coordinator:\n  listen: 127.0.0.1:7400\nworker:\n  listen: 127.0.0.1:7400\n"
        #expect(
            try problems(ofWorker: clash, in: folder) == [
                "worker.yaml:4: worker.listen and coordinator.listen both listen on 127.0.0.1:7400; "
                    + "give one of them another port"
            ]
        )
        let free = "coordinator:\n  listen: 127.0.0.1:0\nworker:\n  listen: 127.0.0.1:0\n"
        #expect(try problems(ofWorker: free, in: folder) == [])
    }
}
