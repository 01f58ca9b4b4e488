import Foundation

/// Bytes that this process has written, by `/proc/self/io`.
struct ProcessOutput {
    /// Passed to system calls: LMDB writes every page of a commit by one.
    var written: UInt64
    /// Made dirty for a disk; 0 for folders in memory.
    var toDisk: UInt64

    static func soFar() throws(CommandFailure) -> ProcessOutput {
        guard let text = try? String(contentsOfFile: "/proc/self/io", encoding: .utf8),
            let written = field("wchar", of: text), let toDisk = field("write_bytes", of: text)
        else { throw CommandFailure(.fileSystem, "/proc/self/io does not tell what this process writes") }
        return ProcessOutput(written: written, toDisk: toDisk)
    }

    static func field(_ name: String, of text: String) -> UInt64? {
        for line in text.split(separator: "\n") where line.hasPrefix("\(name): ") {
            return UInt64(line.dropFirst(name.count + 2))
        }
        return nil
    }

    static func - (later: ProcessOutput, earlier: ProcessOutput) -> ProcessOutput {
        ProcessOutput(written: later.written - earlier.written, toDisk: later.toDisk - earlier.toDisk)
    }
}
