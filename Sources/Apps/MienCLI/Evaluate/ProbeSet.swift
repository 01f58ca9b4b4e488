import EmbeddingFiles
import MienClient

/// Probes in memory, whole photos of them.
struct ProbeSet {
    let dimension: Int
    /// `[probeCount × dimension]`.
    private let values: [Float]

    /// Reads a file of probes.
    ///
    /// - Throws: also for a row that cannot be read: a probe that is left out would change the rates.
    init(path: String, dimension: Int?) throws(CommandFailure) {
        var reader = try filing { () throws(EmbeddingFileError) in
            try EmbeddingFile.open(path: path, wantedDimension: dimension)
        }
        guard dimension == nil || reader.dimension == dimension else {
            throw CommandFailure(
                .badData,
                "\(path) has probes of \(reader.dimension) numbers; the collection has dimension \(dimension ?? 0)"
            )
        }
        var values: [Float] = []
        while let batch = try filing({ () throws(EmbeddingFileError) in try reader.nextBatch(maximumRows: 1000) }) {
            if let problem = batch.problems.first {
                throw CommandFailure(.badData, "\(path) row \(problem.row) is no probe: \(problem.reason)")
            }
            values.append(contentsOf: batch.values)
        }
        guard !values.isEmpty else { throw CommandFailure(.badData, "\(path) holds no probe") }
        self.dimension = reader.dimension
        self.values = values
    }

    var count: Int { values.count / dimension }

    subscript(_ range: Range<Int>) -> Embeddings {
        Embeddings(
            dimension: dimension,
            values: Array(values[range.lowerBound * dimension..<range.upperBound * dimension])
        )
    }
}
