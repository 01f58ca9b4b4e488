/// How numbers are stored in a written array.
package enum NpyPrecision: String, Sendable, CaseIterable {
    case float32
    /// IEEE half, rounded to nearest even; values beyond ±65504 become infinite.
    case float16

    package var byteCount: Int { self == .float32 ? 4 : 2 }
    var type: String { self == .float32 ? "<f4" : "<f2" }
}

/// Writes rows to a numpy array file without knowing their number beforehand.
///
/// The header has a fixed length and is written again by ``finish()``; until then it promises no row.
package struct NpyWriter {
    /// Bytes of the file before its first row.
    package static let headerBytes = 128

    package let dimension: Int
    package let precision: NpyPrecision
    package private(set) var rowCount = 0
    private let file: OutputFile

    /// Creates the file, replacing one of the same name.
    ///
    /// - Parameter isPrivate: whether nobody but the file's owner may read it.
    package init(
        path: String,
        dimension: Int,
        precision: NpyPrecision = .float32,
        isPrivate: Bool = false
    ) throws(EmbeddingFileError) {
        precondition((1...embeddingFileDimensionLimit).contains(dimension), "dimension \(dimension) is out of range")
        self.dimension = dimension
        self.precision = precision
        file = try OutputFile(path: path, isPrivate: isPrivate)
        try file.append(NpyHeader.rendered(type: precision.type, rows: 0, columns: dimension))
    }

    /// - Parameter rows: `[any × dimension]`, row-major.
    package mutating func append(_ rows: [Float]) throws(EmbeddingFileError) {
        precondition(rows.count.isMultiple(of: dimension), "\(rows.count) numbers are not whole rows of \(dimension)")
        let file = file
        switch precision {
        case .float32:
            try unsafe rows.withUnsafeBufferPointer { rows throws(EmbeddingFileError) in
                try unsafe file.append(UnsafeRawBufferPointer(rows))
            }
        case .float16:
            let halves = rows.map { Float16($0).bitPattern }
            try unsafe halves.withUnsafeBufferPointer { halves throws(EmbeddingFileError) in
                try unsafe file.append(UnsafeRawBufferPointer(halves))
            }
        }
        rowCount += rows.count / dimension
    }

    /// Writes the row count into the header and makes the file durable; no other call may follow.
    package mutating func finish() throws(EmbeddingFileError) {
        try file.rewriteStart(NpyHeader.rendered(type: precision.type, rows: rowCount, columns: dimension))
        try file.finish()
    }
}
