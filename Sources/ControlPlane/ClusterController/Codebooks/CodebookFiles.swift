import Crypto
import Glibc
package import WireProtocol

/// The codebooks of a coordinator: one file each, named by the SHA-256 of its bytes.
///
/// A file appears whole or not at all: it is written under another name, synced, then renamed. All calls wait for the
/// disk.
package struct CodebookFiles: Sendable {
    /// Largest codebook taken: 256 MiB.
    package static let byteLimit: UInt64 = 256 << 20

    private static let suffix = ".codebook"

    private let directory: String

    package init(directory: String) {
        self.directory = directory
    }

    /// Makes the folder when it is missing. Its name, and those in it, are on the disk then, even if a process was
    /// killed before it had seen to that.
    package func prepare() throws(CodebookFileError) {
        guard unsafe mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw .io(path: directory, errno: errno) }
        try sync(parent)
        try sync(directory)
    }

    package static func digest(of bytes: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        return Array(hash.finalize())
    }

    /// Stores the bytes durably and returns their digest. Storing them again is no error.
    package func store(_ bytes: [UInt8]) throws(CodebookFileError) -> [UInt8] {
        let digest = Self.digest(of: bytes)
        let path = path(of: digest)
        let temporary = path + ".part"
        let file = unsafe open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard file >= 0 else { throw .io(path: temporary, errno: errno) }
        do throws(CodebookFileError) {
            defer { _ = Glibc.close(file) }
            var offset = 0
            while offset < bytes.count {
                let written = unsafe bytes.withUnsafeBytes {
                    unsafe write(file, $0.baseAddress! + offset, $0.count - offset)
                }
                guard written > 0 || errno == EINTR else { throw .io(path: temporary, errno: errno) }
                offset += max(written, 0)
            }
            guard fsync(file) == 0 else { throw .io(path: temporary, errno: errno) }
            guard unsafe rename(temporary, path) == 0 else { throw .io(path: path, errno: errno) }
            try sync(directory)
        } catch {
            _ = unsafe unlink(temporary)
            throw error
        }
        return digest
    }

    /// Bytes `offset ..< offset + byteCount` of a codebook, fewer at its end.
    package func slice(of digest: [UInt8], offset: UInt64, byteCount: Int) throws(CodebookFileError) -> [UInt8] {
        let path = path(of: digest)
        let file = unsafe open(path, O_RDONLY | O_CLOEXEC)
        guard file >= 0 else { throw errno == ENOENT ? .missing(path: path) : .io(path: path, errno: errno) }
        defer { _ = Glibc.close(file) }
        var bytes = [UInt8](repeating: 0, count: byteCount)
        var filled = 0
        while filled < byteCount {
            let position = off_t(offset) + off_t(filled)
            let read = unsafe bytes.withUnsafeMutableBytes {
                unsafe pread(file, $0.baseAddress! + filled, $0.count - filled, position)
            }
            guard read >= 0 || errno == EINTR else { throw .io(path: path, errno: errno) }
            if read == 0 { break }
            filled += max(read, 0)
        }
        return Array(bytes.prefix(filled))
    }

    /// Reads the whole file and compares length and digest.
    ///
    /// - Throws: `missing`, or `damaged` when the bytes are not those the name promises.
    package func verify(_ digest: [UInt8], byteCount: UInt64) throws(CodebookFileError) {
        var hash = SHA256()
        var offset: UInt64 = 0
        while true {
            let bytes = try slice(of: digest, offset: offset, byteCount: 1 << 20)
            unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
            offset += UInt64(bytes.count)
            if bytes.count < 1 << 20 { break }
        }
        guard offset == byteCount, Array(hash.finalize()) == digest else { throw .damaged(path: path(of: digest)) }
    }

    /// Removes a codebook; an absent one is no error.
    package func remove(_ digest: [UInt8]) throws(CodebookFileError) {
        let path = path(of: digest)
        guard unsafe unlink(path) == 0 || errno == ENOENT else { throw .io(path: path, errno: errno) }
    }

    /// Removes what no record names: codebooks of deleted collections and the leavings of a crash.
    package func removeAll(except digests: Set<[UInt8]>) throws(CodebookFileError) {
        let kept = Set(digests.map { Self.name(of: $0) })
        guard let folder = unsafe opendir(directory) else { throw .io(path: directory, errno: errno) }
        defer { unsafe closedir(folder) }
        while let entry = unsafe readdir(folder) {
            let name = unsafe withUnsafePointer(to: &entry.pointee.d_name) {
                unsafe $0.withMemoryRebound(to: CChar.self, capacity: 256) { unsafe String(cString: $0) }
            }
            guard name.hasSuffix(Self.suffix) || name.hasSuffix(Self.suffix + ".part"), !kept.contains(name) else {
                continue
            }
            _ = unsafe unlink("\(directory)/\(name)")
        }
    }

    private func path(of digest: [UInt8]) -> String { "\(directory)/\(Self.name(of: digest))" }

    private static func name(of digest: [UInt8]) -> String {
        let digits = Array("0123456789abcdef".utf8)
        return String(decoding: digest.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] }, as: UTF8.self) + suffix
    }

    private var parent: String {
        directory.lastIndex(of: "/").map { $0 == directory.startIndex ? "/" : String(directory[..<$0]) } ?? "."
    }

    private func sync(_ path: String) throws(CodebookFileError) {
        let folder = unsafe open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard folder >= 0 else { throw .io(path: path, errno: errno) }
        defer { _ = Glibc.close(folder) }
        guard fsync(folder) == 0 else { throw .io(path: path, errno: errno) }
    }
}

/// Why a codebook could not be kept or read.
package enum CodebookFileError: Error, Hashable, Sendable {
    case missing(path: String)
    case damaged(path: String)
    case io(path: String, errno: Int32)
}

extension CodebookFileError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .missing(let path): "The codebook \(path) is missing; it is fetched again from the worker that trained it."
        case .damaged(let path): "The codebook \(path) is damaged; it is fetched again from the worker that trained it."
        case .io(let path, let errno):
            "The system reported an error on \(path) (\(unsafe String(cString: strerror(errno)))); "
                + "check the disk and the folder's permissions."
        }
    }
}

extension CodebookFileError: WireStatusConvertible {
    package var wireStatus: WireStatus {
        switch self {
        case .missing, .damaged: WireStatus(.internalError, description)
        case .io: WireStatus(.unavailable, description)
        }
    }
}
