/// Writes rows as `.fvecs`: a little-endian `int32` dimension before the `float32` of every row.
package struct FvecsWriter {
    package let dimension: Int
    package private(set) var rowCount = 0
    private let file: OutputFile

    /// Creates the file, replacing one of the same name.
    package init(path: String, dimension: Int) throws(EmbeddingFileError) {
        precondition((1...embeddingFileDimensionLimit).contains(dimension), "dimension \(dimension) is out of range")
        self.dimension = dimension
        file = try OutputFile(path: path)
    }

    /// - Parameter rows: `[any × dimension]`, row-major.
    package mutating func append(_ rows: [Float]) throws(EmbeddingFileError) {
        precondition(rows.count.isMultiple(of: dimension), "\(rows.count) numbers are not whole rows of \(dimension)")
        var words: [UInt32] = []
        words.reserveCapacity(rows.count / dimension * (dimension + 1))
        for (index, value) in rows.enumerated() {
            if index.isMultiple(of: dimension) { words.append(UInt32(dimension)) }
            words.append(value.bitPattern)
        }
        let file = file
        try unsafe words.withUnsafeBufferPointer { words throws(EmbeddingFileError) in
            try unsafe file.append(UnsafeRawBufferPointer(words))
        }
        rowCount += rows.count / dimension
    }

    /// Makes the file durable; no other call may follow.
    package mutating func finish() throws(EmbeddingFileError) {
        try file.finish()
    }
}
