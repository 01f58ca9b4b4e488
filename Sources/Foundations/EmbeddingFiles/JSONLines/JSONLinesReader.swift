/// Reads faces from JSON Lines; a bad line is a problem of its row, the rest goes on.
///
/// Blank lines and a byte order mark are passed over and count as no row. The dimension is the one that is wanted, if
/// some line has it or no line is good, and that of the first good line otherwise.
struct JSONLinesReader: EmbeddingReader {
    /// Longest line, without its end.
    static let lineLimitBytes = 1 << 20
    /// Lines looked at for a dimension before the file is given up.
    static let linesTriedForDimension = 1000

    let dimension: Int
    let rowCount: Int?
    private var lines: LineReader
    private var nextRow = 0
    private var lineNumber = 0
    private let path: String

    /// - Parameter countsRows: whether to read the file through for ``rowCount``, which is nil otherwise.
    init(file: InputFile, wantedDimension: Int? = nil, countsRows: Bool = false) throws(EmbeddingFileError) {
        path = file.path
        var scout = LineReader(source: try FileSource.text(of: file), limitBytes: Self.lineLimitBytes)
        var rowsTried = 0
        var firstReason: String?
        var found: Int?
        while found == nil || wantedDimension != nil && found != wantedDimension,
            rowsTried < Self.linesTriedForDimension, let line = try scout.next()
        {
            if Self.isBlank(line) { continue }
            rowsTried += 1
            switch Self.parse(line) {
            case .success(let face) where found == nil || face.embedding.count == wantedDimension:
                found = face.embedding.count
            case .success: break
            case .failure(let fault): firstReason = firstReason ?? fault.reason
            }
        }
        guard rowsTried > 0 else { throw .noRows(path: file.path) }
        guard let found = found ?? wantedDimension else {
            throw .noEmbedding(path: file.path, rowsTried: rowsTried, firstReason: firstReason)
        }
        dimension = found
        lines = LineReader(source: try FileSource.text(of: file), limitBytes: Self.lineLimitBytes)
        rowCount = try countsRows ? Self.countRows(of: file) : nil
    }

    private static func countRows(of file: InputFile) throws(EmbeddingFileError) -> Int {
        var lines = LineReader(source: try FileSource.text(of: file), limitBytes: lineLimitBytes)
        var count = 0
        while let line = try lines.next() {
            if !isBlank(line) { count += 1 }
        }
        return count
    }

    mutating func nextBatch(maximumRows: Int) throws(EmbeddingFileError) -> EmbeddingBatch? {
        precondition(maximumRows > 0, "a batch needs at least one row")
        var batch = EmbeddingBatch(firstRow: nextRow, rowCount: 0, values: [], metadata: [])
        while batch.rowCount < maximumRows, let line = try nextLine() {
            switch Self.parse(line) {
            case .success(let face) where face.embedding.count == dimension:
                batch.values.append(contentsOf: face.embedding)
                batch.metadata?.append(face.metadata)
            case .success(let face):
                appendProblem("dimension is \(face.embedding.count) where \(dimension) was expected", to: &batch)
            case .failure(let fault):
                appendProblem(fault.reason, to: &batch)
            }
            batch.rowCount += 1
        }
        nextRow += batch.rowCount
        return batch.rowCount > 0 ? batch : nil
    }

    mutating func skip(toRow row: Int) throws(EmbeddingFileError) {
        guard row >= nextRow else { throw .rowOutOfRange(path: path, row: row, rowCount: nextRow) }
        while nextRow < row {
            guard try nextLine() != nil else { throw .rowOutOfRange(path: path, row: row, rowCount: nextRow) }
            nextRow += 1
        }
    }

    /// The next line that is not blank.
    private mutating func nextLine() throws(EmbeddingFileError) -> LineReader.Line? {
        while let line = try lines.next() {
            lineNumber += 1
            if !Self.isBlank(line) { return line }
        }
        return nil
    }

    private func appendProblem(_ reason: String, to batch: inout EmbeddingBatch) {
        batch.values.append(contentsOf: repeatElement(0, count: dimension))
        batch.metadata?.append(FaceLineMetadata())
        batch.problems.append(RowProblem(row: batch.firstRow + batch.rowCount, reason: "line \(lineNumber): \(reason)"))
    }

    private static func isBlank(_ line: LineReader.Line) -> Bool {
        if case .bytes(let bytes) = line { return bytes.allSatisfy { $0 == 0x20 || $0 == 0x09 } }
        return false
    }

    private static func parse(_ line: LineReader.Line) -> Result<FaceLine, JSONFault> {
        switch line {
        case .tooLong: return .failure(JSONFault("longer than \(lineLimitBytes) bytes"))
        case .bytes(let bytes): return Result { () throws(JSONFault) in try FaceLine.parse(bytes) }
        }
    }
}
