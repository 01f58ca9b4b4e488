/// Reads one label per embedding (ids, persons, external ids), in step with the rows and without holding the file.
///
/// - Text: one label per line, UTF-8, LF or CR LF; a blank line is no label, a byte order mark is no part of one.
/// - `.npy` of `<i4 <i8 <u4 <u8`, shape `(n,)`: decimal text.
/// - `.npy` of `<u8`, shape `(n, 2)`: a 128-bit id, high word first, as UUID text.
/// - `.npy` of `S1…S256` or `<U1…<U256`, shape `(n,)`: the text; an empty one is no label.
package struct LabelReader {
    /// Longest label in bytes of UTF-8.
    package static let labelLimitBytes = 1024

    package let path: String
    package let rowCount: Int
    private var lines: LineReader?
    private var array: LabelArray?
    private var nextRow = 0

    /// Opens the file and counts its labels.
    ///
    /// - Parameter expectedRowCount: number of embeddings, where it is known.
    /// - Throws: `labelCountMismatch` if there are more or fewer labels, before any row is imported.
    package init(path: String, expectedRowCount: Int? = nil) throws(EmbeddingFileError) {
        self.path = path
        let file = try InputFile(path: path)
        if try file.bytes(at: 0, count: 6) == NpyHeader.magic {
            let array = try LabelArray(source: FileSource(file: file))
            rowCount = array.rowCount
            self.array = array
        } else {
            if path.lowercased().hasSuffix(".npy") { _ = try NpyHeader.read(from: FileSource(file: file)) }
            rowCount = try LineReader.count(FileSource.text(of: file))
            lines = LineReader(source: try FileSource.text(of: file), limitBytes: Self.labelLimitBytes)
        }
        if let expectedRowCount, expectedRowCount != rowCount {
            throw .labelCountMismatch(path: path, labels: rowCount, rows: expectedRowCount)
        }
    }

    /// The labels of the next rows.
    ///
    /// - Throws: `labelCountMismatch` if the file has fewer.
    package mutating func next(_ count: Int) throws(EmbeddingFileError) -> [String?] {
        guard count <= rowCount - nextRow else {
            throw .labelCountMismatch(path: path, labels: rowCount, rows: nextRow + count)
        }
        defer { nextRow += count }
        if let array { return try array.next(count, firstRow: nextRow) }
        var labels: [String?] = []
        labels.reserveCapacity(count)
        for row in nextRow..<(nextRow + count) {
            switch try lines?.next() {
            case .bytes(let bytes):
                guard let text = String(validating: bytes, as: UTF8.self) else {
                    throw .labelNotText(path: path, row: row)
                }
                labels.append(text.isEmpty ? nil : text)
            case .tooLong:
                throw .labelTooLong(path: path, row: row, limitBytes: Self.labelLimitBytes)
            case nil:
                throw .labelCountMismatch(path: path, labels: row, rows: rowCount)
            }
        }
        return labels
    }

    /// Goes forward so that `row` is the next one given; text is read through.
    package mutating func skip(toRow row: Int) throws(EmbeddingFileError) {
        guard row >= nextRow, row <= rowCount else {
            throw .rowOutOfRange(path: path, row: row, rowCount: rowCount)
        }
        array?.skip(row - nextRow)
        if lines != nil {
            for _ in nextRow..<row { _ = try lines?.next() }
        }
        nextRow = row
    }
}
