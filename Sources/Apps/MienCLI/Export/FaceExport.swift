import EmbeddingFiles
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

/// The place of an export: written under another name beside it, then renamed.
struct ExportPlace {
    let path: String
    var partial: String { path + ".partial" }

    /// - Throws: when something is at the path already.
    init(_ path: String) throws(CommandFailure) {
        var trimmed = path
        while trimmed.count > 1, trimmed.hasSuffix("/") { trimmed.removeLast() }
        self.path = trimmed
        try checkIsFree()
    }

    private func checkIsFree() throws(CommandFailure) {
        var status = stat()
        guard unsafe lstat(path, &status) != 0 else {
            throw CommandFailure(.fileSystem, "\(path) exists; choose another path or remove it")
        }
    }

    /// Renames what is whole, and makes the name durable; of a folder also the names in it.
    func putInPlace() throws(CommandFailure) {
        try checkIsFree()
        try sync(partial, O_RDONLY)
        guard unsafe rename(partial, path) == 0 else { throw .fileSystem(path, "put in place") }
        let parent = path.lastIndex(of: "/").map { $0 == path.startIndex ? "/" : String(path[..<$0]) } ?? "."
        try sync(parent, O_RDONLY | O_DIRECTORY)
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
