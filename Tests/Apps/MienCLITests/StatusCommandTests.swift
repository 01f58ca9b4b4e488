import Testing

/// States of a cluster in which workers answer and something is badly wrong.
@Suite struct StatusCommandTests {
    @Test func statusTellsOfADiskThatIsFull() async throws {
        try await ToyCluster.run { cluster, address in
            let status = ["status", "--coordinator", address]
            cluster.change { $0.freeDiskByteCount = 80 << 20 }
            let whole = await mienCommand(status)
            #expect(whole.status == 0 && whole.error.isEmpty, "\(whole)")
            #expect(!whole.output.contains("short of disk"), "\(whole)")
            // One that has refused faces does so until a quarter more is free; another takes them.
            for count in [79, 64] as [UInt64] {
                cluster.change { $0.freeDiskByteCount = count << 20 }
                let marked = await mienCommand(status)
                #expect(marked.status == 0 && marked.error.isEmpty, "\(marked)")
                #expect(marked.output.contains("live, short of disk"), "\(marked)")
            }
            cluster.change { $0.freeDiskByteCount = 63 << 20 }
            let short = await mienCommand(status)
            #expect(short.status == 69 && short.error.contains("is short of disk: 63 MiB free"), "\(short)")
            cluster.change { $0.freeDiskByteCount = 10 << 20 }
            let full = await mienCommand(status)
            #expect(full.status == 69)
            let problem =
                "the worker at 127.0.0.1:7401 is short of disk: 10 MiB free beside what snapshots have yet to take; "
                + "with less than 64 MiB it takes no faces, until 80 MiB are free"
            #expect(full.error == "mien: \(problem)\n", "\(full)")
            let lines = full.outputLines.map { $0.split(separator: " ").joined(separator: " ") }
            #expect(lines.contains { $0.hasPrefix("127.0.0.1:7401 live, short of disk") }, "\(lines)")
            let top = await mienCommand(["top", "--interval", "0.05", "--once", "--coordinator", address])
            #expect(top.output.contains("! \(problem)\n"), "\(top)")
            // Of one that is away it says nothing: it takes no faces anyhow.
            cluster.change { $0.workersAreLive[0] = false }
            let away = await mienCommand(status)
            #expect(away.status == 69 && !away.error.contains("short of disk"), "\(away)")
        }
    }

    @Test func statusTellsOfCopiesThatDiffer() async throws {
        try await ToyCluster.run { cluster, address in
            let created = await mienCommand([
                "collection", "create", "people", "--dimension", "64", "--model", "toy-64", "--coordinator", address,
            ])
            #expect(created.status == 0, "\(created)")
            let status = ["status", "--coordinator", address]
            let whole = await mienCommand(status)
            #expect(whole.status == 0, "\(whole)")
            cluster.change { $0.differentShards = [1] }
            let one = await mienCommand(status)
            #expect(one.status == 69)
            let problem = "collection people: copies in sync differ: shard 1; 'mien verify people' finds which"
            #expect(one.error == "mien: \(problem)\n", "\(one)")
            cluster.change { $0.differentShards = [1, 0] }
            let two = await mienCommand(status)
            #expect(two.error.contains("collection people: copies in sync differ: shards 0, 1; "), "\(two)")
            let json = await mienCommand(status + ["--json"])
            let text = json.output.filter { $0 != " " && $0 != "\n" }
            let list = #""different_shards":[{"collection":"people","shard":0},{"collection":"people","shard":1}]"#
            #expect(json.status == 69 && text.contains(list), "\(json)")
        }
    }
}
