import Glibc

/// What the kernel says of this process, read when the metrics are asked for.
package enum ProcessMetrics {
    package static func collect(into samples: inout MetricSamples) {
        if let figures = StatFigures(text("/proc/self/stat")) {
            let ticks = Double(max(1, sysconf(Int32(_SC_CLK_TCK))))
            samples.add(MetricCatalogue.processorTime, value: Double(figures.processorTicks) / ticks)
            samples.add(MetricCatalogue.residentMemory, value: Double(figures.residentPages * pageByteCount))
            samples.add(MetricCatalogue.virtualMemory, value: Double(figures.virtualByteCount))
            samples.add(MetricCatalogue.threads, value: Double(figures.threadCount))
            samples.add(MetricCatalogue.pageFaults, LabelValue.majorFaults, value: Double(figures.majorFaults))
            samples.add(MetricCatalogue.pageFaults, LabelValue.minorFaults, value: Double(figures.minorFaults))
            if let boot = bootTime {
                samples.add(MetricCatalogue.startTime, value: boot + Double(figures.startTicks) / ticks)
            }
        }
        var clock = timespec()
        if unsafe clock_gettime(CLOCK_REALTIME, &clock) == 0 {
            let seconds = Double(clock.tv_sec) + Double(clock.tv_nsec) / 1e9
            samples.add(MetricCatalogue.wallClock, value: seconds)
        }
        if let count = openFileCount() { samples.add(MetricCatalogue.openFiles, value: Double(count)) }
        var limit = rlimit()
        if unsafe getrlimit(__rlimit_resource_t(RLIMIT_NOFILE.rawValue), &limit) == 0 {
            samples.add(MetricCatalogue.openFileLimit, value: Double(limit.rlim_cur))
        }
    }

    private static let pageByteCount = UInt64(sysconf(Int32(_SC_PAGESIZE)))

    /// When the machine started, in seconds since 1970.
    private static let bootTime: Double? = text("/proc/stat").split(separator: "\n")
        .first { $0.hasPrefix("btime ") }
        .flatMap { Double($0.dropFirst("btime ".count)) }

    /// A pseudo file's text; empty when it cannot be read.
    private static func text(_ path: String) -> String {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return "" }
        defer { close(file) }
        var text: [UInt8] = []
        var part = [UInt8](repeating: 0, count: 16 << 10)
        while true {
            let count = unsafe part.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress!, $0.count) }
            guard count > 0 else { return String(decoding: text, as: UTF8.self) }
            text += part[..<count]
        }
    }

    /// Entries of `/proc/self/fd`, the one that reads them left out.
    private static func openFileCount() -> Int? {
        guard let folder = unsafe opendir("/proc/self/fd") else { return nil }
        defer { unsafe _ = closedir(folder) }
        var count = 0
        while let entry = unsafe readdir(folder) {
            if unsafe entry.pointee.d_name.0 != UInt8(ascii: ".") { count += 1 }
        }
        return max(0, count - 1)
    }
}

/// The fields of `/proc/self/stat` that are metrics; see proc(5).
package struct StatFigures: Hashable, Sendable {
    package let minorFaults: UInt64
    package let majorFaults: UInt64
    /// User and system.
    package let processorTicks: UInt64
    package let threadCount: UInt64
    /// Since the machine started.
    package let startTicks: UInt64
    package let virtualByteCount: UInt64
    package let residentPages: UInt64

    /// Nil when the text is not of that form.
    package init?(_ text: String) {
        // The second field is the program's name in brackets, which may hold spaces and brackets itself.
        guard let bracket = text.lastIndex(of: ")") else { return nil }
        let fields = text[text.index(after: bracket)...].split { $0 == " " || $0 == "\n" }
        func field(_ number: Int) -> UInt64? { number - 3 < fields.count ? UInt64(fields[number - 3]) : nil }
        guard let minor = field(10), let major = field(12), let user = field(14), let system = field(15),
            let threads = field(20), let start = field(22), let virtual = field(23), let resident = field(24)
        else { return nil }
        (minorFaults, majorFaults, processorTicks) = (minor, major, user + system)
        (threadCount, startTicks, virtualByteCount, residentPages) = (threads, start, virtual, resident)
    }
}
