import Glibc

/// Figures of this process, from the kernel.
enum ProcessFigures {
    /// Resident memory in bytes, from the second field of `/proc/self/statm`; 0 when it cannot be read.
    static func residentByteCount() -> UInt64 {
        // A pseudo file: its size reads as 0, so it is not for `DurableFile`.
        let file = unsafe open("/proc/self/statm", O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { return 0 }
        defer { close(file) }
        var bytes = [UInt8](repeating: 0, count: 256)
        let count = unsafe bytes.withUnsafeMutableBytes { unsafe read(file, $0.baseAddress!, $0.count) }
        guard count > 0 else { return 0 }
        let fields = String(decoding: bytes.prefix(count), as: UTF8.self).split(separator: " ")
        guard fields.count > 1, let pages = UInt64(fields[1]) else { return 0 }
        return pages * UInt64(sysconf(Int32(_SC_PAGESIZE)))
    }
}
