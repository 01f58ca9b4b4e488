import EmbeddingFiles
import Foundation
import SyntheticGallery

/// Faces whose persons are known, and probes.
struct LabelledFaces {
    let dimension: Int
    /// `[faceCount × dimension]`, unit rows.
    var faces: [Float] = []
    /// Of each face, a number for its person.
    var persons: [Int] = []
    /// `[… × dimension]`; may be empty.
    var probes: [Float] = []

    var faceCount: Int { persons.count }

    private static let batchRows = 4096

    init(_ gallery: SyntheticGallery, probeCount: Int) {
        dimension = gallery.parameters.dimension
        faces = gallery.faces(in: 0..<gallery.faceCount)
        persons = (0..<gallery.faceCount).map { gallery.faceInfo($0).identity }
        probes = gallery.probes(in: 0..<probeCount)
    }

    /// The first faces and probes of a folder with `embeddings.npy`, `persons.txt` and perhaps `probes.npy`.
    init(folder: String, faceLimit: Int, probeLimit: Int) throws(CommandFailure) {
        (dimension, faces) = try Self.rows("\(folder)/embeddings.npy", limit: faceLimit)
        if FileManager.default.fileExists(atPath: "\(folder)/probes.npy") {
            let (probeDimension, probes) = try Self.rows("\(folder)/probes.npy", limit: probeLimit)
            guard probeDimension == dimension else {
                throw CommandFailure(
                    .badData,
                    "\(folder)/probes.npy has dimension \(probeDimension), the faces have \(dimension)"
                )
            }
            self.probes = probes
        }
        guard let text = try? String(contentsOfFile: "\(folder)/persons.txt", encoding: .utf8) else {
            throw CommandFailure(.fileSystem, "\(folder)/persons.txt cannot be read: it names the person of each row")
        }
        var numbers: [Substring: Int] = [:]
        for line in text.split(separator: "\n").prefix(faces.count / dimension) {
            persons.append(numbers[line, default: numbers.count])
            numbers[line] = persons[persons.count - 1]
        }
        guard faces.count == persons.count * dimension else {
            throw CommandFailure(
                .badData,
                "\(folder)/persons.txt has \(persons.count) lines for \(faces.count / dimension) rows"
            )
        }
    }

    private static func rows(_ path: String, limit: Int) throws(CommandFailure) -> (dimension: Int, values: [Float]) {
        try filing { () throws(EmbeddingFileError) in
            var reader = try EmbeddingFile.open(path: path)
            let dimension = reader.dimension
            var values: [Float] = []
            while values.count < limit * dimension,
                let batch = try reader.nextBatch(maximumRows: min(batchRows, limit - values.count / dimension))
            {
                values.append(contentsOf: batch.values)
            }
            for first in stride(from: 0, to: values.count, by: dimension) {
                let row = first..<first + dimension
                let norm = values[row].reduce(0) { $0 + $1 * $1 }.squareRoot()
                if norm > 0, norm.isFinite { for index in row { values[index] /= norm } }
            }
            return (dimension, values)
        }
    }
}
