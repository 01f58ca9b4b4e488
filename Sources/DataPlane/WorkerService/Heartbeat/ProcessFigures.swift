import Glibc

/// Figures of this process and its machine, from the kernel.
enum ProcessFigures {
    /// Resident memory in bytes, from the second field of `/proc/self/statm`; 0 when it cannot be read.
    static func residentByteCount() -> UInt64 {
        guard let fields = text(of: "/proc/self/statm")?.split(separator: " "), fields.count > 1,
            let pages = UInt64(fields[1])
        else { return 0 }
        return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }

    /// A pseudo file, at most its first 16 KiB: its size reads as 0, so it is not for `DurableFile`.
    static func text(of path: String) -> String? {
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return nil }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 16 << 10)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress!, $0.count) }
        return count > 0 ? String(decoding: bytes.prefix(count), as: UTF8.self) : nil
    }
}
