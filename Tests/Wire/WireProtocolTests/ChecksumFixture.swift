import Checksum
import Glibc

enum ChecksumFixture {
    /// Makes the checksum of a header that was altered right again.
    static func seal(_ frame: inout [UInt8]) {
        let checksum = frame[0..<28].withUnsafeBytes { CRC32C.checksum($0) }
        withUnsafeBytes(of: checksum.littleEndian) { frame.replaceSubrange(28..<32, with: $0) }
    }
}

/// Bytes of this process in memory.
func residentByteCount() -> Int {
    guard let file = fopen("/proc/self/statm", "r") else { return 0 }
    defer { fclose(file) }
    var line = [CChar](repeating: 0, count: 256)
    guard fgets(&line, Int32(line.count), file) != nil else { return 0 }
    let text = String(decoding: line.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    let pages = text.split(separator: " ").dropFirst().first.flatMap { Int($0) } ?? 0
    return pages * sysconf(Int32(_SC_PAGESIZE))
}
