import Crypto
import EmbeddingFiles
import FaceModel
import MienClient

/// Which files an import reads; labels are matched to embeddings by row.
struct FaceFiles {
    var embeddings: String
    var member: String?
    var ids: String?
    var persons: String?
    var externalIDs: String?

    /// Those of labels.
    var labels: [String] { [ids, persons, externalIDs].compactMap(\.self) }
}

/// Faces ready to be enrolled, and the rows that are not.
struct FaceBatch: Sendable {
    /// Number in the file of the first row, from zero, and rows of the file that the batch stands for.
    var firstRow: Int
    var rowCount: Int
    /// Row number of each face.
    var rows: [Int]
    var faces: [NewFace]
    /// `[faces.count × dimension]`.
    var values: [Float]
    var problems: [RowProblem]
}

/// Reads faces from a file of embeddings and the files of their labels, batch by batch.
struct FaceRows {
    private var reader: any EmbeddingReader
    private var ids: LabelReader?
    private var persons: LabelReader?
    private var externalIDs: LabelReader?
    private let model: String
    /// Number of the row that is read next, from zero.
    private(set) var nextRow = 0

    /// - Parameters:
    ///   - model: of the collection; a JSON line that names another is refused.
    ///   - dimension: of the collection; a JSON line of another is refused.
    /// - Throws: also for a file without rows: nobody means to import nothing. And for labels that are not as many as
    ///   the rows: behind one too many, such as a heading, every face would get another's.
    init(_ files: FaceFiles, model: String, dimension: Int) throws(EmbeddingFileError) {
        reader = try EmbeddingFile.open(
            path: files.embeddings,
            member: files.member,
            wantedDimension: dimension,
            countsRows: !files.labels.isEmpty
        )
        let count = reader.rowCount
        guard count != 0 else { throw .noRows(path: files.embeddings) }
        if let path = files.ids { ids = try LabelReader(path: path, expectedRowCount: count) }
        if let path = files.persons { persons = try LabelReader(path: path, expectedRowCount: count) }
        if let path = files.externalIDs { externalIDs = try LabelReader(path: path, expectedRowCount: count) }
        self.model = model
    }

    var dimension: Int { reader.dimension }
    /// nil where only reading to the end can tell.
    var rowCount: Int? { reader.rowCount }

    mutating func skip(toRow row: Int) throws(EmbeddingFileError) {
        try reader.skip(toRow: row)
        try ids?.skip(toRow: row)
        try persons?.skip(toRow: row)
        try externalIDs?.skip(toRow: row)
        nextRow = row
    }

    mutating func next(_ maximumRows: Int) throws(EmbeddingFileError) -> FaceBatch? {
        guard let read = try reader.nextBatch(maximumRows: maximumRows) else { return nil }
        nextRow = read.firstRow + read.rowCount
        let ids = try self.ids?.next(read.rowCount)
        let persons = try self.persons?.next(read.rowCount)
        let externalIDs = try self.externalIDs?.next(read.rowCount)
        var batch = FaceBatch(
            firstRow: read.firstRow,
            rowCount: read.rowCount,
            rows: [],
            faces: [],
            values: [],
            problems: read.problems
        )
        let unreadable = Set(read.problems.map(\.row))
        batch.values.reserveCapacity(read.values.count)
        for offset in 0..<read.rowCount {
            let row = read.firstRow + offset
            if unreadable.contains(row) { continue }
            let values = read.values[offset * dimension..<(offset + 1) * dimension]
            let line = read.metadata?[offset]
            var metadata = line?.face ?? FaceMetadata()
            if let persons { metadata.personID = persons[offset] }
            if let externalIDs { metadata.externalImageID = externalIDs[offset] }
            var problem = metadata.problem
            if let claimed = line?.model, claimed != model { problem = RowRejection.wrongModel.reason }
            var id = line?.id
            if let ids {
                id = ids[offset].flatMap(FaceLabel.id)
                if id == nil { problem = "the id is neither a UUID nor a whole number" }
            }
            if let problem {
                batch.problems.append(RowProblem(row: row, reason: problem))
                continue
            }
            batch.rows.append(row)
            batch.faces.append(
                NewFace(
                    id: Face.ID(id ?? Self.derivedID(row: row, values: values)),
                    metadata: Face.Metadata(metadata)
                )
            )
            batch.values.append(contentsOf: values)
        }
        batch.problems.sort { $0.row < $1.row }
        return batch
    }

    /// The id of a row that has none: the same for the same row of the same file, so that an import done again ends in
    /// the same collection.
    ///
    /// A version 8 UUID of the first 16 bytes of SHA-256 over the row number (8 bytes, little-endian) and the row's
    /// `float32` bytes (little-endian).
    static func derivedID(row: Int, values: ArraySlice<Float>) -> FaceID {
        var hash = SHA256()
        unsafe withUnsafeBytes(of: UInt64(row).littleEndian) { unsafe hash.update(bufferPointer: $0) }
        unsafe values.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        let digest = Array(hash.finalize())
        let high = digest[0..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        let low = digest[8..<16].reduce(UInt64(0)) { $0 << 8 | UInt64($1) }
        return FaceID(
            high: high & 0xFFFF_FFFF_FFFF_0FFF | 0x8000,
            low: low & 0x3FFF_FFFF_FFFF_FFFF | 0x8000_0000_0000_0000
        )
    }
}
