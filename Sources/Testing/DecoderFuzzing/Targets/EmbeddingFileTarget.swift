import EmbeddingFiles

extension FuzzTarget {
    /// Files of embeddings: a byte for the format, then the file.
    static let embeddingFiles = FuzzTarget(
        name: "embedding-files",
        seeds: { EmbeddingFileTarget.files },
        accepts: { EmbeddingFileTarget.accepts($0) }
    )

    /// Files of labels: text or a numpy array.
    static let labelFiles = FuzzTarget(
        name: "label-files",
        seeds: { LabelFileTarget.files },
        accepts: { LabelFileTarget.accepts($0) }
    )
}

enum EmbeddingFileTarget {
    /// Rows of a batch, and how many of them are read: what a file claims must not cost time.
    private static let (batchRowCount, batchLimit) = (5, 64)

    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let choice = bytes.first, let file = try? ScratchFile(Array(bytes.dropFirst())) else { return false }
        let formats: [EmbeddingFormat?] = [nil] + EmbeddingFormat.allCases
        return withExtendedLifetime(file) {
            do throws(EmbeddingFileError) {
                var reader = try EmbeddingFile.open(path: file.path, format: formats[Int(choice) % formats.count])
                var rowCount = 0
                for _ in 0..<batchLimit {
                    guard let batch = try reader.nextBatch(maximumRows: batchRowCount) else { return true }
                    precondition(batch.firstRow == rowCount, "rows are left out or given twice")
                    precondition(batch.values.count == batch.rowCount * reader.dimension, "a batch of half rows")
                    precondition(
                        batch.problems.allSatisfy { ($0.row - rowCount) < batch.rowCount },
                        "a problem of no row"
                    )
                    rowCount += batch.rowCount
                }
                return true
            } catch {
                return false
            }
        }
    }

    fileprivate static let files: [[UInt8]] = [
        [0] + npy("<f4", "(3, 2)", numbers([0, 0.5, 1, -1, 2, 3])),
        [0] + npy("<f2", "(2, 2)", [0, 0x3c, 0, 0x38, 0, 0x40, 0, 0xbc]),
        [2] + zip("embeddings.npy", npy("<f4", "(1, 2)", numbers([1, 2])), method: 0),
        // A raw deflate stream: one stored block.
        [2] + zip("embeddings.npy", npy("<f4", "(1, 2)", numbers([1, 2])), method: 8),
        [3] + ([2, 0, 0, 0] + numbers([1, 2])) + ([2, 0, 0, 0] + numbers([3, 4])),
        [4]
            + Array(
                """
                {"id":"00000000-0000-0000-0000-000000000001","person":"p","external_id":"e","image_id":"i",\
                "bounding_box":[0.1,0.2,0.3,0.4],"quality":9,"confidence":1,"created":"2026-01-31T12:00:00.5+01:00",\
                "expires":1e9,"attributes":{"k":"v"},"model":"m","embedding":[1.5,-2e-3,0]}
                {"id":7,"embedding":[1,2,3],"person":null}
                """.utf8
            ),
    ]
}

enum LabelFileTarget {
    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let file = try? ScratchFile(bytes) else { return false }
        return withExtendedLifetime(file) {
            do throws(EmbeddingFileError) {
                var reader = try LabelReader(path: file.path)
                var left = reader.rowCount
                while left > 0 {
                    let count = min(left, 100)
                    let labels = try reader.next(count)
                    precondition(labels.count == count, "fewer labels than were asked for")
                    left -= count
                }
                return true
            } catch {
                return false
            }
        }
    }

    fileprivate static let files: [[UInt8]] = [
        Array("anna\nberta\r\n\n00000000-0000-0000-0000-000000000001".utf8),
        npy("<i8", "(2,)", [1, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        npy("<u8", "(1, 2)", (0..<16).map { $0 }), npy("|S3", "(2,)", [0x61, 0x62, 0, 0x63, 0, 0]),
        npy("<U2", "(1,)", [0x61, 0, 0, 0, 0xfc, 0, 0, 0]),
    ]
}

private func npy(_ type: String, _ shape: String, _ content: [UInt8]) -> [UInt8] {
    let header = Array("{'descr': '\(type)', 'fortran_order': False, 'shape': \(shape), }\n".utf8)
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(header.count), 0] + header + content
}

private func numbers(_ values: [Float]) -> [UInt8] {
    values.flatMap { value in (0..<4).map { UInt8(truncatingIfNeeded: value.bitPattern >> UInt32(8 * $0)) } }
}

/// An archive of one entry.
private func zip(_ name: String, _ content: [UInt8], method: UInt8) -> [UInt8] {
    func word(_ value: Int) -> [UInt8] { (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * $0)) } }
    func half(_ value: Int) -> [UInt8] { Array(word(value).prefix(2)) }
    let stored = method == 8 ? [1] + half(content.count) + half(~content.count) + content : content
    let common =
        half(20) + half(0) + [method, 0] + word(0) + word(Int(crc32(content))) + word(stored.count)
        + word(content.count)
        + half(name.utf8.count) + half(0)
    let entry = word(0x0403_4B50) + common + Array(name.utf8) + stored
    let directory =
        word(0x0201_4B50) + half(20) + common + [UInt8](repeating: 0, count: 10) + word(0) + Array(name.utf8)
    return entry + directory + word(0x0605_4B50) + word(0) + half(1) + half(1) + word(directory.count)
        + word(entry.count) + half(0)
}

private func crc32(_ bytes: [UInt8]) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
}
