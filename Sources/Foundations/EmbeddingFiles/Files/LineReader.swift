/// Gives the lines of a file one by one, with a bound on their length.
///
/// Lines end with LF or CR LF; the last one needs no end. A longer line is passed over and reported, the rest goes on.
struct LineReader {
    enum Line: Equatable {
        case bytes([UInt8])
        case tooLong
    }

    private let source: any ByteSource
    private let limitBytes: Int
    private var chunk: [UInt8] = []
    private var position = 0
    private static let chunkBytes = 1 << 17

    /// - Parameter limitBytes: longest line that is given, without its end.
    init(source: any ByteSource, limitBytes: Int) {
        self.source = source
        self.limitBytes = limitBytes
    }

    /// The next line without its end; `nil` at the end of the file.
    ///
    /// - Throws: `shortened` where the file ends before it should: half a line is none.
    mutating func next() throws(EmbeddingFileError) -> Line? {
        var line: [UInt8] = []
        var isTooLong = false
        var isStarted = false
        while true {
            if position == chunk.count {
                chunk = try Self.nextChunk(of: source)
                position = 0
                if chunk.isEmpty { break }
            }
            isStarted = true
            let end = chunk[position...].firstIndex(of: 0x0A)
            let piece = chunk[position..<(end ?? chunk.count)]
            if line.count + piece.count > limitBytes + 1 {
                isTooLong = true
                line.removeAll()
            } else if !isTooLong {
                line.append(contentsOf: piece)
            }
            position = end.map { $0 + 1 } ?? chunk.count
            if end != nil { break }
        }
        guard isStarted else { return nil }
        if line.last == 0x0D { line.removeLast() }
        return isTooLong || line.count > limitBytes ? .tooLong : .bytes(line)
    }

    /// Counts the lines of a source by reading it through.
    static func count(_ source: any ByteSource) throws(EmbeddingFileError) -> Int {
        var count = 0
        var last: UInt8 = 0x0A
        while true {
            let chunk = try nextChunk(of: source)
            guard let final = chunk.last else { break }
            last = final
            for byte in chunk { count += byte == 0x0A ? 1 : 0 }
        }
        return last == 0x0A ? count : count + 1
    }

    /// The next bytes; none at the end only.
    private static func nextChunk(of source: any ByteSource) throws(EmbeddingFileError) -> [UInt8] {
        let promisedBytes = min(UInt64(chunkBytes), source.remainingBytes)
        let chunk = try source.bytes(chunkBytes)
        guard UInt64(chunk.count) == promisedBytes else { throw .shortened(path: source.name) }
        return chunk
    }
}
