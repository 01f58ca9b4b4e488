/// Gives the rows of one file of embeddings in order, batch by batch, whatever its format.
///
/// Memory is bounded by one batch (and a window of 32 KiB for compressed entries); no reader maps or holds the file.
/// A reader belongs to one thread at a time.
package protocol EmbeddingReader {
    /// Numbers per row; fixed when the file is opened.
    var dimension: Int { get }
    /// Rows of the file, or `nil` where only reading to the end can tell (JSON Lines that were not counted).
    var rowCount: Int? { get }
    /// The next rows, at most `maximumRows` (positive); `nil` after the last one.
    ///
    /// After an error the reader stays where it was or past the damage; only `nil` means the end.
    mutating func nextBatch(maximumRows: Int) throws(EmbeddingFileError) -> EmbeddingBatch?
    /// Goes forward so that `row` is the next one given; a row equal to the row count leads to the end.
    ///
    /// Costs one seek, except in compressed entries and JSON Lines, which are read through.
    mutating func skip(toRow row: Int) throws(EmbeddingFileError)
}

/// Some consecutive rows of a file.
package struct EmbeddingBatch: Sendable, Equatable {
    /// Number in the file of the first row, from zero.
    package var firstRow: Int
    package var rowCount: Int
    /// `[rowCount × dimension]`, row-major, as stored: not normalised, perhaps not finite. Rows with a problem are
    /// zero.
    package var values: [Float]
    /// Rows that could not be read while the rest of the file goes on, in order.
    package var problems: [RowProblem]
    /// One per row where the format carries more than numbers (JSON Lines), else `nil`.
    package var metadata: [FaceLineMetadata]?

    package init(
        firstRow: Int,
        rowCount: Int,
        values: [Float],
        problems: [RowProblem] = [],
        metadata: [FaceLineMetadata]? = nil
    ) {
        self.firstRow = firstRow
        self.rowCount = rowCount
        self.values = values
        self.problems = problems
        self.metadata = metadata
    }
}

/// A row that was refused, and why in one sentence without any of its values.
package struct RowProblem: Sendable, Equatable {
    /// Number in the file, from zero.
    package var row: Int
    package var reason: String

    package init(row: Int, reason: String) {
        self.row = row
        self.reason = reason
    }
}

/// Largest row that any reader accepts, in numbers; collections set their own, lower limits.
package let embeddingFileDimensionLimit = 65_536
