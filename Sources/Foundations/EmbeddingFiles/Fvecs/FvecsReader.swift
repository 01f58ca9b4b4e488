/// Reads `.fvecs`: every row is a little-endian `int32` dimension and that many `float32`.
struct FvecsReader: EmbeddingReader {
    let dimension: Int
    private let totalRows: Int
    private let source: FileSource
    private var nextRow = 0

    var rowCount: Int? { totalRows }

    /// Takes the dimension from the first row and the row count from the size of the file.
    init(file: InputFile) throws(EmbeddingFileError) {
        let path = file.path
        let start = try file.bytes(at: 0, count: 4)
        guard start.count == 4 else {
            throw .headerTruncated(path: path, promisedBytes: 4, presentBytes: start.count)
        }
        dimension = Int(Int32(bitPattern: start.reversed().reduce(0) { $0 << 8 | UInt32($1) }))
        guard (1...embeddingFileDimensionLimit).contains(dimension) else {
            throw .dimensionOutOfRange(path: path, dimension: dimension, limit: embeddingFileDimensionLimit)
        }
        let rowBytes = UInt64(4 + 4 * dimension)
        totalRows = Int(file.byteCount / rowBytes)
        source = FileSource(file: file)
        guard file.byteCount.isMultiple(of: rowBytes) else {
            throw .truncated(
                path: path,
                promisedRows: totalRows + 1,
                presentBytes: file.byteCount,
                rowBytes: Int(rowBytes)
            )
        }
    }

    mutating func nextBatch(maximumRows: Int) throws(EmbeddingFileError) -> EmbeddingBatch? {
        precondition(maximumRows > 0, "a batch needs at least one row")
        let count = min(maximumRows, totalRows - nextRow)
        guard count > 0 else { return nil }
        let stride = dimension + 1
        var words = [UInt32](repeating: 0, count: count * stride)
        let source = source
        let read = try unsafe words.withUnsafeMutableBufferPointer { words throws(EmbeddingFileError) in
            try unsafe source.read(into: UnsafeMutableRawBufferPointer(words))
        }
        guard read == 4 * words.count else {
            throw .truncated(
                path: source.name,
                promisedRows: totalRows,
                presentBytes: UInt64(nextRow * stride * 4 + read),
                rowBytes: stride * 4
            )
        }
        var values: [Float] = []
        values.reserveCapacity(count * dimension)
        for row in 0..<count {
            let found = Int(Int32(bitPattern: words[row * stride]))
            guard found == dimension else {
                throw .rowDimensionChanged(
                    path: source.name,
                    row: nextRow + row,
                    dimension: found,
                    expected: dimension
                )
            }
            for word in words[(row * stride + 1)..<((row + 1) * stride)] { values.append(Float(bitPattern: word)) }
        }
        defer { nextRow += count }
        return EmbeddingBatch(firstRow: nextRow, rowCount: count, values: values)
    }

    mutating func skip(toRow row: Int) throws(EmbeddingFileError) {
        guard row >= nextRow, row <= totalRows else {
            throw .rowOutOfRange(path: source.name, row: row, rowCount: totalRows)
        }
        source.skip(UInt64(row - nextRow) * UInt64(4 + 4 * dimension))
        nextRow = row
    }
}
