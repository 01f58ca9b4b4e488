/// Formats of embedding files.
package enum EmbeddingFormat: String, Sendable, CaseIterable {
    /// One numpy array, `numpy.save`.
    case npy
    /// An archive of numpy arrays, `numpy.savez` or `numpy.savez_compressed`.
    case npz
    /// Rows of a little-endian `int32` dimension and that many `float32`.
    case fvecs
    /// One JSON object per line, see ``FaceLine``.
    case jsonLines = "jsonl"
}

/// Opens a file of embeddings by what it contains.
package enum EmbeddingFile {
    /// - Parameters:
    ///   - format: `nil` looks at the first bytes, then at the extension.
    ///   - wantedDimension: decides where a file's rows may differ, which is in JSON Lines.
    ///   - member: array of an archive to read, with or without `.npy`; `nil` takes the only one or `embeddings`.
    ///   - countsRows: whether rows are counted where that takes reading the file through, which is in JSON Lines: the
    ///     reader's ``EmbeddingReader/rowCount`` is known then.
    package static func open(
        path: String,
        format: EmbeddingFormat? = nil,
        member: String? = nil,
        wantedDimension: Int? = nil,
        countsRows: Bool = false
    ) throws(EmbeddingFileError) -> any EmbeddingReader {
        let file = try InputFile(path: path)
        guard file.byteCount > 0 else { throw .emptyFile(path: path) }
        let recognised = if let format { format } else { try detect(file) }
        switch recognised {
        case .npy: return try NpyReader(source: FileSource(file: file))
        case .npz: return try NpyReader(source: ZipArchive(file: file).source(member: member))
        case .fvecs: return try FvecsReader(file: file)
        case .jsonLines:
            return try JSONLinesReader(file: file, wantedDimension: wantedDimension, countsRows: countsRows)
        }
    }

    /// Recognises a format by magic bytes, then by the extension; damaged files are left to the reader of their
    /// extension.
    private static func detect(_ file: InputFile) throws(EmbeddingFileError) -> EmbeddingFormat {
        let start = try file.bytes(at: 0, count: 64)
        let name = file.path.lowercased()
        if name.hasSuffix(".fvecs") { return .fvecs }
        if start.starts(with: NpyHeader.magic) { return .npy }
        if start.starts(with: [0x50, 0x4B, 0x03, 0x04]) || start.starts(with: [0x50, 0x4B, 0x05, 0x06]) {
            return .npz
        }
        if name.hasSuffix(".npy") { return .npy }
        if name.hasSuffix(".npz") { return .npz }
        if name.hasSuffix(".jsonl") || name.hasSuffix(".ndjson") { return .jsonLines }
        let blank: [UInt8] = [0x20, 0x09, 0x0A, 0x0D]
        let text = start.dropFirst(Int(try file.textStart()))
        if text.first(where: { !blank.contains($0) }) == UInt8(ascii: "{") { return .jsonLines }
        throw .unknownFormat(path: file.path)
    }
}
