import EmbeddingFiles
import Foundation
import Glibc
import MienClient

/// Takes in the faces of an export and puts them in place as a whole.
protocol FaceExport {
    /// - Parameter face: with its embedding.
    mutating func append(_ face: Face) throws(CommandFailure)
    /// Makes what was written durable and gives it its name.
    mutating func finish() throws(CommandFailure)
    /// Takes away what was written.
    func discard()
}

/// The place of an export: a file or a folder that is written under a name of its own beside it, and named when it is
/// whole.
struct ExportPlace {
    private static let partialSuffix = ".partial"
    private static let digitCount = 16
    /// Nobody writes nothing for longer.
    private static let longestPause = 3600

    let path: String
    /// What is written; no other export writes there.
    let partial: String

    /// Removes what earlier exports to the path left behind that were killed.
    ///
    /// - Throws: when something is at the path already.
    init(_ path: String) throws(CommandFailure) {
        var trimmed = path
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        self.path = trimmed
        let digits = String(UInt64.random(in: .min ... .max), radix: 16)
        let zeros = String(repeating: "0", count: Self.digitCount - digits.count)
        partial = "\(trimmed).\(zeros)\(digits)\(Self.partialSuffix)"
        try checkIsFree()
        removeAbandoned()
    }

    private func checkIsFree() throws(CommandFailure) {
        var status = stat()
        guard unsafe lstat(path, &status) != 0 else { throw takenFailure }
    }

    private var takenFailure: CommandFailure {
        CommandFailure(.fileSystem, "\(path) exists; choose another path or remove it")
    }

    private var parent: String {
        path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
    }

    /// Names what is whole, and makes the name durable; of a folder also the names in it.
    ///
    /// - Throws: also when something has come to be at the path: it is not replaced.
    func putInPlace() throws(CommandFailure) {
        try sync(partial, O_RDONLY)
        try giveName()
        try sync(parent, O_RDONLY | O_DIRECTORY)
    }

    private func giveName() throws(CommandFailure) {
        let code = unsafe link(partial, path) == 0 ? 0 : errno
        if code == 0 || (code == EEXIST && isNamed) {
            _ = unsafe unlink(partial)
            return
        }
        if code == EEXIST { throw takenFailure }
        // No folder has two names, and no file on some disks. A folder replaces nothing but an empty one.
        try checkIsFree()
        guard unsafe rename(partial, path) == 0 else { throw .fileSystem(path, "put in place") }
    }

    /// Whether the path is a name of what was written: a disk in the network that has given it refuses to give it
    /// again, which it is asked to where its answer was lost.
    private var isNamed: Bool {
        var written = stat()
        var named = stat()
        guard unsafe lstat(partial, &written) == 0, unsafe lstat(path, &named) == 0 else { return false }
        return written.st_nlink == 2 && written.st_dev == named.st_dev && written.st_ino == named.st_ino
    }

    /// Takes away what was written.
    func discard() { Self.remove(partial) }

    private static func remove(_ partial: String) {
        guard unsafe unlink(partial) != 0 else { return }
        // A folder, with what an export writes into it.
        for name in NpyExport.fileNames { _ = unsafe unlink("\(partial)/\(name)") }
        _ = unsafe rmdir(partial)
    }

    private func removeAbandoned() {
        let folder = parent
        let beginning = "\(path.split(separator: "/").last ?? "")."
        let now = time(nil)
        for name in (try? FileManager.default.contentsOfDirectory(atPath: folder)) ?? [] {
            guard name.hasPrefix(beginning), name.hasSuffix(Self.partialSuffix) else { continue }
            let digits = name.dropFirst(beginning.count).dropLast(Self.partialSuffix.count)
            guard digits.count == Self.digitCount, digits.allSatisfy(\.isHexDigit) else { continue }
            let partial = "\(folder)/\(name)"
            let times = [partial, "\(partial)/\(NpyExport.fileNames[0])"].compactMap(Self.lastWrite)
            if let last = times.max(), now - last >= Self.longestPause { Self.remove(partial) }
        }
    }

    /// In seconds since 1970; nil when it is not there.
    private static func lastWrite(_ path: String) -> Int? {
        var status = stat()
        return unsafe lstat(path, &status) == 0 ? status.st_mtim.tv_sec : nil
    }

    private func sync(_ path: String, _ flags: Int32) throws(CommandFailure) {
        let descriptor = unsafe open(path, flags | O_CLOEXEC)
        guard descriptor >= 0 else { throw .fileSystem(path, "opened") }
        defer { close(descriptor) }
        guard fsync(descriptor) == 0 else { throw .fileSystem(path, "made durable") }
    }
}

extension Face {
    /// The embedding, which an export has asked for.
    func exportedEmbedding(dimension: Int? = nil) throws(CommandFailure) -> [Float] {
        guard let embedding, dimension == nil || embedding.count == dimension else {
            throw CommandFailure(.internalError, "the cluster sent the face \(id) without its whole embedding")
        }
        return embedding
    }
}
