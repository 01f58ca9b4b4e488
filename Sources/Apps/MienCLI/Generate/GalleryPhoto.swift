import EmbeddingFiles
import Foundation
import Glibc

/// The first probes of a gallery once more as a photo with many faces: `photo.npy` and `photo-truth.jsonl`.
struct GalleryPhoto {
    static let faceLimit = 100

    private let folder: String
    private let faceCount: Int

    init(folder: String, probeCount: Int) {
        self.folder = folder
        faceCount = min(Self.faceLimit, probeCount)
    }

    private var embeddings: String { "\(folder)/photo.npy" }
    private var truth: String { "\(folder)/photo-truth.jsonl" }

    /// Whether both files are there; the array is renamed into place last.
    func isComplete(dimension: Int) -> Bool {
        guard FileManager.default.fileExists(atPath: truth),
            let reader = try? EmbeddingFile.open(path: embeddings)
        else { return false }
        return reader.rowCount == faceCount && reader.dimension == dimension
    }

    /// Writes the files from the gallery's own probes; a file appears whole or not at all, and nothing of it is left
    /// behind.
    func write(dimension: Int) throws(CommandFailure) {
        do throws(CommandFailure) {
            try writeFiles(dimension: dimension)
        } catch {
            for path in [truth, embeddings] { _ = unsafe unlink(path + ".partial") }
            throw error
        }
    }

    private func writeFiles(dimension: Int) throws(CommandFailure) {
        guard let lines = FileManager.default.contents(atPath: "\(folder)/probe-truth.jsonl") else {
            throw CommandFailure(.fileSystem, "\(folder)/probe-truth.jsonl cannot be read")
        }
        let first: [UInt8] = lines.split(separator: 0x0A).prefix(faceCount).flatMap { Array($0) + [0x0A] }
        try filing { () throws(EmbeddingFileError) in
            let file = try OutputFile(path: truth + ".partial")
            try file.append(first)
            try file.finish()
        }
        try rename(truth)
        try filing { () throws(EmbeddingFileError) in
            var reader = try EmbeddingFile.open(path: "\(folder)/probes.npy")
            var writer = try NpyWriter(path: embeddings + ".partial", dimension: dimension)
            if faceCount > 0, let batch = try reader.nextBatch(maximumRows: faceCount) {
                try writer.append(batch.values)
            }
            try writer.finish()
        }
        try rename(embeddings)
    }

    private func rename(_ path: String) throws(CommandFailure) {
        guard unsafe Glibc.rename(path + ".partial", path) == 0 else { throw .fileSystem(path, "put in place") }
    }
}
