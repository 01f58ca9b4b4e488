import EmbeddingFiles
import Glibc
import MienClient

/// An export as a folder: embeddings as a numpy array, ids and names as text, the other fields as JSON Lines.
struct NpyExport: FaceExport {
    static let fileNames = ["embeddings.npy", "ids.txt", "persons.txt", "external-ids.txt", "metadata.jsonl"]

    private struct Files {
        var embeddings: NpyWriter
        var ids: OutputFile
        var persons: OutputFile
        var externalIDs: OutputFile
        var metadata: OutputFile
    }

    private let place: ExportPlace
    private var files: Files

    init(path: String, dimension: Int) throws(CommandFailure) {
        let place = try ExportPlace(path)
        guard unsafe mkdir(place.partial, 0o700) == 0 else { throw .fileSystem(place.partial, "made") }
        let names = Self.fileNames.map { "\(place.partial)/\($0)" }
        do throws(EmbeddingFileError) {
            files = Files(
                embeddings: try NpyWriter(path: names[0], dimension: dimension, isPrivate: true),
                ids: try OutputFile(path: names[1], isPrivate: true),
                persons: try OutputFile(path: names[2], isPrivate: true),
                externalIDs: try OutputFile(path: names[3], isPrivate: true),
                metadata: try OutputFile(path: names[4], isPrivate: true)
            )
        } catch {
            place.discard()
            throw CommandFailure(error)
        }
        self.place = place
    }

    mutating func append(_ face: Face) throws(CommandFailure) {
        let embedding = try face.exportedEmbedding(dimension: files.embeddings.dimension)
        try filing { () throws(EmbeddingFileError) in
            try files.embeddings.append(embedding)
            try files.ids.append("\(face.id)\n")
            try files.persons.append("\(face.metadata.personID ?? "")\n")
            try files.externalIDs.append("\(face.metadata.externalImageID ?? "")\n")
            let members = [("id", JSONValue.string(face.id.description))] + FaceReport.members(face.metadata)
            try files.metadata.append(JSONValue.object(members).line + "\n")
        }
    }

    mutating func finish() throws(CommandFailure) {
        try filing { () throws(EmbeddingFileError) in
            try files.embeddings.finish()
            for file in [files.ids, files.persons, files.externalIDs, files.metadata] { try file.finish() }
        }
        try place.putInPlace()
    }

    func discard() { place.discard() }
}
