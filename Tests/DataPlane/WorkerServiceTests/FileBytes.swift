import Glibc
import Testing

/// Changes to files that no program makes.
enum FileBytes {
    static func overwrite(_ path: String, at offset: Int, with bytes: [UInt8]) throws {
        let file = open(path, O_WRONLY)
        #expect(file >= 0)
        defer { close(file) }
        #expect(bytes.withUnsafeBytes { pwrite(file, $0.baseAddress!, $0.count, offset) } == bytes.count)
    }

    static func occurrences(of pattern: [UInt8], in path: String) throws -> [Int] {
        let file = open(path, O_RDONLY)
        #expect(file >= 0)
        defer { close(file) }
        let count = Int(lseek(file, 0, SEEK_END))
        var bytes = [UInt8](repeating: 0, count: count)
        #expect(bytes.withUnsafeMutableBytes { pread(file, $0.baseAddress!, count, 0) } == count)
        return bytes.withUnsafeBytes { bytes in
            (0..<max(0, count - pattern.count)).filter { offset in
                bytes[offset] == pattern[0] && bytes[offset..<offset + pattern.count].elementsEqual(pattern)
            }
        }
    }
}
