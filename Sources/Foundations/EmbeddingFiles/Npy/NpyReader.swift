/// Reads the rows of a numpy array of `float32` or `float16`, C order, from a file or an archive entry.
///
/// Little-endian hosts only, as is all of Mien. Half precision is widened exactly.
struct NpyReader: EmbeddingReader {
    let dimension: Int
    private let totalRows: Int
    private let isHalf: Bool
    private let source: any ByteSource
    private var nextRow = 0

    var rowCount: Int? { totalRows }

    /// Reads and checks the header, and the promised size against the bytes that are there.
    init(source: any ByteSource) throws(EmbeddingFileError) {
        let path = source.name
        let header = try NpyHeader.read(from: source)
        switch header.type {
        case "<f4", "=f4": isHalf = false
        case "<f2", "=f2": isHalf = true
        case ">f4", ">f2", ">f8": throw .bigEndian(path: path, type: header.type)
        default:
            throw .unsupportedType(
                path: path,
                type: String(header.type.prefix(40)),
                supported: "float32 ('<f4') and float16 ('<f2')"
            )
        }
        guard (1...2).contains(header.shape.count) else { throw .wrongRank(path: path, shape: header.shape) }
        let (rows, columns) = header.shape.count == 1 ? (1, header.shape[0]) : (header.shape[0], header.shape[1])
        guard !header.isFortranOrder || rows <= 1 || columns <= 1 else { throw .fortranOrder(path: path) }
        guard (1...embeddingFileDimensionLimit).contains(columns) else {
            throw .dimensionOutOfRange(path: path, dimension: columns, limit: embeddingFileDimensionLimit)
        }
        dimension = columns
        totalRows = rows
        self.source = source
        try checkArraySize(source, rows: rows, rowBytes: columns * (isHalf ? 2 : 4))
    }

    private var rowBytes: Int { dimension * (isHalf ? 2 : 4) }

    mutating func nextBatch(maximumRows: Int) throws(EmbeddingFileError) -> EmbeddingBatch? {
        precondition(maximumRows > 0, "a batch needs at least one row")
        let count = min(maximumRows, totalRows - nextRow)
        guard count > 0 else { return nil }
        var values = [Float](repeating: 0, count: count * dimension)
        let isHalf = isHalf
        let wanted = count * rowBytes
        let source = source
        let read = try unsafe values.withUnsafeMutableBufferPointer { values throws(EmbeddingFileError) in
            let bytes = UnsafeMutableRawBufferPointer(values)
            // Half-precision rows are read into the upper half and widened from the front. The writes never overtake
            // the reads: number i ends at byte 4i + 4, which is at most 2n + 2(i + 1), where number i + 1 is read.
            let start = isHalf ? bytes.count - wanted : 0
            let read = try unsafe source.read(into: UnsafeMutableRawBufferPointer(rebasing: bytes[start...]))
            if isHalf {
                for index in 0..<values.count {
                    let pattern = unsafe bytes.load(fromByteOffset: start + 2 * index, as: UInt16.self)
                    unsafe values[index] = Float(Float16(bitPattern: pattern))
                }
            }
            return read
        }
        guard read == wanted else {
            throw .truncated(
                path: source.name,
                promisedRows: totalRows,
                presentBytes: UInt64(nextRow * rowBytes + read),
                rowBytes: rowBytes
            )
        }
        defer { nextRow += count }
        return EmbeddingBatch(firstRow: nextRow, rowCount: count, values: values)
    }

    mutating func skip(toRow row: Int) throws(EmbeddingFileError) {
        guard row >= nextRow, row <= totalRows else {
            throw .rowOutOfRange(path: source.name, row: row, rowCount: totalRows)
        }
        try source.skip(UInt64(row - nextRow) * UInt64(rowBytes))
        nextRow = row
    }
}

/// Compares the bytes after a header with what its shape promises, without trusting either to fit an integer.
func checkArraySize(_ source: any ByteSource, rows: Int, rowBytes: Int) throws(EmbeddingFileError) {
    let (promised, overflow) = rows.multipliedReportingOverflow(by: rowBytes)
    guard !overflow, UInt64(promised) <= source.remainingBytes else {
        throw .truncated(
            path: source.name,
            promisedRows: rows,
            presentBytes: source.remainingBytes,
            rowBytes: rowBytes
        )
    }
    guard UInt64(promised) == source.remainingBytes else {
        throw .trailingBytes(
            path: source.name,
            promisedRows: rows,
            extraBytes: source.remainingBytes - UInt64(promised)
        )
    }
}
