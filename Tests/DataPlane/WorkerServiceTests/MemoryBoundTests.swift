import ClusterModel
import Testing
import WorkerService

@Suite struct WaterMarkTests {
    @Test func itBeginsBelowTheReserveAndEndsWithHalfAsMuchAgain() {
        var mark = WaterMark()
        #expect(mark.observe(free: 100, reserve: 100) == nil && !mark.isShort)
        #expect(mark.observe(free: 99, reserve: 100) == .began && mark.isShort)
        #expect(mark.observe(free: 0, reserve: 100) == nil && mark.isShort)
        // What is freed at the mark does not end it.
        #expect(mark.observe(free: 149, reserve: 100) == nil && mark.isShort)
        #expect(mark.observe(free: 150, reserve: 100) == .ended && !mark.isShort)
        #expect(mark.observe(free: 120, reserve: 100) == nil && !mark.isShort)
    }

    @Test func whereNothingIsKeptInReserveItNeverBegins() {
        var mark = WaterMark()
        #expect(mark.observe(free: 0, reserve: 0) == nil && !mark.isShort)
    }
}

/// What the kernel's files say of memory, as they are on real machines.
@Suite struct MemoryBoundTests {
    private static let meminfo = """
        MemTotal:       24683520 kB
        MemFree:         4410368 kB
        MemAvailable:   19592192 kB
        Buffers:          102400 kB
        """
    private static let status = """
        Name:\tmien
        VmRSS:\t  513000 kB
        RssAnon:\t  102400 kB
        RssFile:\t  400000 kB
        RssShmem:\t    1024 kB
        VmSwap:\t    2048 kB
        """

    private func bounds(_ files: [String: String], configured: UInt64 = 0) -> [MemoryBound] {
        MemoryBound.all(configured: configured) { files[$0] }
    }

    @Test func ofTheMachineCountsWhatIsNotAvailable() {
        let found = bounds(["/proc/meminfo": Self.meminfo, "/proc/self/status": Self.status])
        #expect(
            found == [
                MemoryBound(kind: .machine, limitByteCount: 24_683_520 << 10, heldByteCount: 5_091_328 << 10)
            ]
        )
        #expect(found[0].reserveByteCount == 1 << 30, "a tenth, and a gibibyte at most")
    }

    @Test func ofAConfiguredLimitTheProcessCountsWithoutItsMappedFiles() {
        let found = bounds(["/proc/self/status": Self.status], configured: 1 << 30)
        #expect(
            found == [MemoryBound(kind: .configured, limitByteCount: 1 << 30, heldByteCount: 105_472 << 10)]
        )
        #expect(found[0].reserveByteCount == (1 << 30) / 10)
    }

    @Test func aControlGroupOfVersionTwoAndThoseAroundItCount() {
        let files = [
            "/proc/self/cgroup": "0::/mien.slice/worker.service\n",
            "/sys/fs/cgroup/mien.slice/worker.service/memory.max": "max\n",
            "/sys/fs/cgroup/mien.slice/worker.service/memory.current": "900\n",
            "/sys/fs/cgroup/mien.slice/memory.max": "1000\n",
            "/sys/fs/cgroup/mien.slice/memory.current": "950\n",
            "/sys/fs/cgroup/mien.slice/memory.stat": """
            anon 500
            active_file 100
            inactive_file 300
            file_dirty 40
            file_writeback 10
            """,
        ]
        // 400 of files, of which 50 are not written yet.
        #expect(bounds(files) == [MemoryBound(kind: .controlGroup, limitByteCount: 1000, heldByteCount: 600)])
    }

    @Test func aControlGroupOfVersionOneCounts() {
        let files = [
            "/proc/self/cgroup": "9:name=systemd:/\n4:cpuset,memory:/pod/worker\n0::/\n",
            "/sys/fs/cgroup/memory/pod/worker/memory.limit_in_bytes": "1000\n",
            "/sys/fs/cgroup/memory/pod/worker/memory.usage_in_bytes": "990\n",
            "/sys/fs/cgroup/memory/pod/worker/memory.stat": "total_inactive_file 700\ntotal_active_file 100\n",
            "/sys/fs/cgroup/memory/pod/memory.limit_in_bytes": "9223372036854771712\n",
            "/sys/fs/cgroup/memory/pod/memory.usage_in_bytes": "5000\n",
        ]
        #expect(bounds(files) == [MemoryBound(kind: .controlGroup, limitByteCount: 1000, heldByteCount: 190)])
    }

    /// A container sees its own group as the root, under the path that it has on the host.
    @Test func inAContainerTheRootCounts() {
        let files = [
            "/proc/self/cgroup": "0::/kubepods/pod1/abc\n",
            "/sys/fs/cgroup/memory.max": "2000\n",
            "/sys/fs/cgroup/memory.current": "500\n",
        ]
        #expect(bounds(files) == [MemoryBound(kind: .controlGroup, limitByteCount: 2000, heldByteCount: 500)])
    }

    @Test func whatIsReachedFirstCounts() {
        let machine = MemoryBound(kind: .machine, limitByteCount: 100 << 30, heldByteCount: 10 << 30)
        let group = MemoryBound(kind: .controlGroup, limitByteCount: 2 << 30, heldByteCount: 1 << 30)
        let full = MemoryBound(kind: .configured, limitByteCount: 4 << 30, heldByteCount: (4 << 30) - (1 << 20))
        #expect(MemoryBound.tightest([machine, group]) == group)
        #expect(MemoryBound.tightest([machine, group, full]) == full)
        #expect(MemoryBound.tightest([]) == nil)
        let over = MemoryBound(kind: .controlGroup, limitByteCount: 10, heldByteCount: 20)
        #expect(over.freeByteCount == 0)
    }

    @Test(arguments: ["", "nonsense", "0::", "4:memory", "MemTotal: x kB\nMemAvailable: 3 kB"])
    func whatCannotBeReadIsNoBound(text: String) {
        let files = ["/proc/self/cgroup": text, "/proc/meminfo": text, "/sys/fs/cgroup/memory.max": text]
        #expect(bounds(files).isEmpty)
    }
}
