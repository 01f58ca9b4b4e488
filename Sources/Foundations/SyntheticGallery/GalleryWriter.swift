package import EmbeddingFiles
import FaceModel
import Glibc

/// What a written gallery holds beside its faces.
package struct GalleryOutput: Sendable, Equatable {
    package var precision = NpyPrecision.float32
    package var probeCount = 100
    /// Rows after the faces that an importer must refuse or repair, of the kinds that fit into an array.
    package var hostileRowCount = 0
    /// Whether the files of the faces are written; the probes of a gallery that is too large for a disk, or enrolled
    /// without files, need them not.
    package var includesFaces = true

    package init(
        precision: NpyPrecision = .float32,
        probeCount: Int = 100,
        hostileRowCount: Int = 0,
        includesFaces: Bool = true
    ) {
        self.precision = precision
        self.probeCount = probeCount
        self.hostileRowCount = hostileRowCount
        self.includesFaces = includesFaces
    }
}

/// How far a gallery is written.
package struct GalleryProgress: Sendable, Equatable {
    package var facesWritten: Int
    package var probesWritten: Int

    package init(facesWritten: Int, probesWritten: Int) {
        self.facesWritten = facesWritten
        self.probesWritten = probesWritten
    }
}

/// Writes a gallery as a folder of files that `mien import` and `mien search` read.
///
/// | file | content |
/// |---|---|
/// | `embeddings.npy` | `[faces + hostile rows × dimension]` |
/// | `ids.txt` | face id of each row |
/// | `persons.txt` | person of each row; blank for hostile rows |
/// | `probes.npy` | `[probes × dimension]`, float32 |
/// | `probe-truth.jsonl` | `probe`, `mated`; if mated `identity`, `person`, `mates`, `face_ids`, `face_id` (first) |
/// | `gallery.json` | parameters, output, counts of each kind of face, hostile rows |
///
/// The first three are left out when only the probes are wanted. `mates` are row numbers of all faces that show the
/// person under its name, `face_ids` their ids.
///
/// The folder appears whole or not at all: it is written beside its place under the name `….partial` and renamed. One
/// batch of rows is held at a time.
package struct GalleryWriter {
    private static let batchRows = 4096
    private static let fileNames = [
        "embeddings.npy", "ids.txt", "persons.txt", "probes.npy", "probe-truth.jsonl", "gallery.json",
    ]
    private static let faceFileNames: Set = ["embeddings.npy", "ids.txt", "persons.txt"]

    private let gallery: SyntheticGallery
    private let output: GalleryOutput

    package init(_ gallery: SyntheticGallery, output: GalleryOutput = GalleryOutput()) {
        precondition(
            (0...SyntheticGallery.probeLimit / 2).contains(output.probeCount),
            "probe count is out of range"
        )
        precondition(output.hostileRowCount >= 0, "hostile row count is negative")
        precondition(output.includesFaces || output.hostileRowCount == 0, "hostile rows come with the faces")
        self.gallery = gallery
        self.output = output
    }

    /// Whether the folder holds this very gallery, completely written.
    package static func isComplete(at path: String, parameters: GalleryParameters, output: GalleryOutput) -> Bool {
        // Of sizes that no gallery has none can be complete, and their bytes could not be counted.
        guard (try? parameters.validate()) != nil else { return false }
        let header = GalleryDescription.header(parameters: parameters, output: output)
        guard GalleryFolder.start(of: "\(path)/gallery.json", byteCount: header.utf8.count) == Array(header.utf8) else {
            return false
        }
        let rows = parameters.faceCount + output.hostileRowCount
        var arrays = [("probes.npy", output.probeCount * parameters.dimension * 4)]
        if output.includesFaces {
            arrays.append(("embeddings.npy", rows * parameters.dimension * output.precision.byteCount))
        }
        return fileNames.filter { output.includesFaces || !faceFileNames.contains($0) }.allSatisfy {
            GalleryFolder.byteCount(of: "\(path)/\($0)") != nil
        }
            && arrays.allSatisfy { GalleryFolder.byteCount(of: "\(path)/\($0.0)") == NpyWriter.headerBytes + $0.1 }
    }

    /// Writes the folder; does nothing if it is already complete.
    ///
    /// - Parameter progress: called after every batch and at the end.
    /// - Throws: `occupied` if something else is at `path`. Nothing is left behind; a partial folder of a process that
    ///   was killed is replaced by the next run.
    package func write(to path: String, progress: (GalleryProgress) -> Void = { _ in }) throws(GalleryError) {
        if Self.isComplete(at: path, parameters: gallery.parameters, output: output) {
            progress(GalleryProgress(facesWritten: gallery.faceCount, probesWritten: output.probeCount))
            return
        }
        if GalleryFolder.exists(path) { throw .occupied(path: path) }
        let partial = "\(path).partial"
        try GalleryFolder.removeFiles(Self.fileNames, in: partial)
        try GalleryFolder.create(partial)
        do throws(GalleryError) {
            try writeFiles(to: partial, progress: progress)
            try GalleryFolder.rename(partial, to: path)
        } catch {
            try? GalleryFolder.removeFiles(Self.fileNames, in: partial)
            throw error
        }
    }

    private func writeFiles(to partial: String, progress: (GalleryProgress) -> Void) throws(GalleryError) {
        do throws(EmbeddingFileError) {
            let kindCounts = output.includesFaces ? try writeFaces(to: partial, progress: progress) : [:]
            let matedCount = try writeProbes(to: partial, progress: progress)
            let description = GalleryDescription.text(
                gallery: gallery,
                output: output,
                kindCounts: kindCounts,
                matedCount: matedCount,
                hostileKinds: (0..<output.hostileRowCount).map(hostileKind)
            )
            let file = try OutputFile(path: "\(partial)/gallery.json")
            try file.append(description)
            try file.finish()
        } catch {
            throw .file(error)
        }
    }

    /// - Returns: how many faces are of each kind.
    private func writeFaces(
        to folder: String,
        progress: (GalleryProgress) -> Void
    ) throws(EmbeddingFileError) -> [String: Int] {
        var embeddings = try NpyWriter(
            path: "\(folder)/embeddings.npy",
            dimension: gallery.parameters.dimension,
            precision: output.precision
        )
        let ids = try OutputFile(path: "\(folder)/ids.txt")
        let persons = try OutputFile(path: "\(folder)/persons.txt")
        var kindCounts: [String: Int] = [:]
        for first in stride(from: 0, to: gallery.faceCount, by: Self.batchRows) {
            let range = first..<min(gallery.faceCount, first + Self.batchRows)
            try embeddings.append(gallery.faces(in: range))
            for face in range {
                let info = gallery.faceInfo(face)
                kindCounts[info.kind.name, default: 0] += 1
                try ids.append("\(gallery.faceID(face))\n")
                try persons.append("\(SyntheticGallery.personID(info.identity))\n")
            }
            progress(GalleryProgress(facesWritten: range.upperBound, probesWritten: 0))
        }
        for number in 0..<output.hostileRowCount {
            try embeddings.append(gallery.hostileRow(hostileKind(number), number: number).values)
            try ids.append("\(gallery.faceID(gallery.faceCount + number))\n")
            try persons.append("\n")
        }
        try embeddings.finish()
        try ids.finish()
        try persons.finish()
        return kindCounts
    }

    /// - Returns: how many probes have a mate.
    private func writeProbes(
        to folder: String,
        progress: (GalleryProgress) -> Void
    ) throws(EmbeddingFileError) -> Int {
        var probes = try NpyWriter(path: "\(folder)/probes.npy", dimension: gallery.parameters.dimension)
        let truth = try OutputFile(path: "\(folder)/probe-truth.jsonl")
        var matedCount = 0
        for first in stride(from: 0, to: output.probeCount, by: Self.batchRows) {
            let range = first..<min(output.probeCount, first + Self.batchRows)
            try probes.append(gallery.probes(in: range))
            for probe in range {
                let info = gallery.probeInfo(probe)
                guard let identity = info.identity else {
                    try truth.append("{\"probe\":\(probe),\"mated\":false}\n")
                    continue
                }
                matedCount += 1
                try truth.append(
                    "{\"probe\":\(probe),\"mated\":true,\"identity\":\(identity),"
                        + "\"person\":\"\(SyntheticGallery.personID(identity))\","
                        + "\"face_id\":\"\(gallery.faceID(info.mates[0]))\","
                        + "\"mates\":[\(info.mates.map(String.init).joined(separator: ","))],"
                        + "\"face_ids\":[\(info.mates.map { "\"\(gallery.faceID($0))\"" }.joined(separator: ","))]}\n"
                )
            }
            progress(GalleryProgress(facesWritten: gallery.faceCount, probesWritten: range.upperBound))
        }
        try probes.finish()
        try truth.finish()
        return matedCount
    }

    private func hostileKind(_ number: Int) -> HostileRow.Kind {
        let kinds = HostileRow.Kind.allCases.filter(\.fitsInArray)
        return kinds[number % kinds.count]
    }
}
