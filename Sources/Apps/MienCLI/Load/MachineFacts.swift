import Foundation
import Glibc
import LoadGenerator

/// What machine this is.
enum MachineFacts {
    static func read() -> LoadReport.Machine {
        LoadReport.Machine(
            processor: value(of: "model name", in: "/proc/cpuinfo") ?? "unknown processor",
            processorCount: ProcessInfo.processInfo.activeProcessorCount,
            memoryBytes: ProcessInfo.processInfo.physicalMemory,
            system: system
        )
    }

    /// Of the first line `name : value`.
    private static func value(of name: String, in path: String) -> String? {
        guard let data = FileManager.default.contents(atPath: path) else { return nil }
        for line in String(decoding: data, as: UTF8.self).split(separator: "\n") where line.hasPrefix(name) {
            guard let colon = line.firstIndex(of: ":") else { continue }
            return String(line[line.index(after: colon)...].drop { $0 == " " })
        }
        return nil
    }

    private static var system: String {
        var names = utsname()
        guard unsafe uname(&names) == 0 else { return "unknown system" }
        let release = unsafe withUnsafeBytes(of: &names.release) { unsafe text($0) }
        let machine = unsafe withUnsafeBytes(of: &names.machine) { unsafe text($0) }
        return "Linux \(release) \(machine)"
    }

    private static func text(_ bytes: UnsafeRawBufferPointer) -> String {
        unsafe String(decoding: bytes.prefix { $0 != 0 }, as: UTF8.self)
    }
}
