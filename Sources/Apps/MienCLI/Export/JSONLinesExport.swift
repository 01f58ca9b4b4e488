import EmbeddingFiles
import MienClient

/// An export as JSON Lines: everything that is stored of a face, one face per line.
struct JSONLinesExport: FaceExport {
    private let place: ExportPlace
    private let model: String
    private var writer: JSONLinesWriter

    init(path: String, model: String) throws(CommandFailure) {
        let place = try ExportPlace(path)
        self.place = place
        self.model = model
        writer = try filing { () throws(EmbeddingFileError) in
            try JSONLinesWriter(path: place.partial, isPrivate: true)
        }
    }

    mutating func append(_ face: Face) throws(CommandFailure) {
        let line = FaceLine(
            embedding: try face.exportedEmbedding(),
            metadata: FaceLineMetadata(id: face.id.value, face: face.metadata.model, model: model)
        )
        try filing { () throws(EmbeddingFileError) in try writer.append(line) }
    }

    mutating func finish() throws(CommandFailure) {
        try filing { () throws(EmbeddingFileError) in try writer.finish() }
        try place.putInPlace()
    }

    func discard() { place.discard() }
}
