/// The directory of a zip archive, as far as `.npz` needs it: stored and deflated entries, zip64, no encryption, one
/// disk.
///
/// Source: PKWARE APPNOTE 6.3.9, sections 4.3.7, 4.3.12, 4.3.14–16, 4.5.3. Sizes come from the central directory, never
/// from the local headers, where streaming writers leave them empty.
struct ZipArchive {
    struct Entry: Equatable {
        var name: String
        var flags: UInt64
        var method: Int
        var checksum: UInt32
        var compressedBytes: UInt64
        var byteCount: UInt64
        var headerOffset: UInt64
    }

    let entries: [Entry]
    private let file: InputFile
    static let directoryLimitBytes: UInt64 = 1 << 24

    init(file: InputFile) throws(EmbeddingFileError) {
        self.file = file
        let (offset, byteCount) = try Self.locateDirectory(file)
        guard byteCount <= Self.directoryLimitBytes else {
            throw .malformedArchive(path: file.path, reason: "its directory of \(byteCount) bytes is over the limit")
        }
        let bytes = try file.bytes(at: offset, count: Int(byteCount))
        var entries: [Entry] = []
        var position = 0
        while position < bytes.count {
            guard position + 46 <= bytes.count, Self.number(bytes, position, 4) == 0x0201_4B50 else {
                throw .malformedArchive(path: file.path, reason: "entry \(entries.count) of its directory is damaged")
            }
            let nameBytes = Int(Self.number(bytes, position + 28, 2))
            let extraBytes = Int(Self.number(bytes, position + 30, 2))
            let commentBytes = Int(Self.number(bytes, position + 32, 2))
            let nameStart = position + 46
            let next = nameStart + nameBytes + extraBytes + commentBytes
            guard next <= bytes.count else {
                throw .malformedArchive(path: file.path, reason: "entry \(entries.count) of its directory is cut off")
            }
            var entry = Entry(
                name: String(decoding: bytes[nameStart..<(nameStart + nameBytes)], as: UTF8.self),
                flags: Self.number(bytes, position + 8, 2),
                method: Int(Self.number(bytes, position + 10, 2)),
                checksum: UInt32(Self.number(bytes, position + 16, 4)),
                compressedBytes: Self.number(bytes, position + 20, 4),
                byteCount: Self.number(bytes, position + 24, 4),
                headerOffset: Self.number(bytes, position + 42, 4)
            )
            let extra = bytes[(nameStart + nameBytes)..<(nameStart + nameBytes + extraBytes)]
            Self.applyZip64(&entry, extra: Array(extra))
            entries.append(entry)
            position = next
        }
        self.entries = entries
    }

    /// Opens an array for reading; see ``EmbeddingFile/open(path:format:member:wantedDimension:countsRows:)`` for how
    /// it is chosen.
    func source(member: String?) throws(EmbeddingFileError) -> any ByteSource {
        let arrays = entries.filter { $0.name.hasSuffix(".npy") }
        let names = arrays.map { String($0.name.dropLast(4)) }
        let wanted = member.map { $0.hasSuffix(".npy") ? String($0.dropLast(4)) : $0 }
        let index: Int
        if let wanted {
            guard let found = names.firstIndex(of: wanted) else {
                throw .memberMissing(path: file.path, member: wanted, available: names)
            }
            index = found
        } else if names.count == 1 {
            index = 0
        } else if let found = names.firstIndex(of: "embeddings") {
            index = found
        } else if names.isEmpty {
            throw .memberMissing(path: file.path, member: "embeddings", available: names)
        } else {
            throw .ambiguousMember(path: file.path, available: names)
        }
        return try source(arrays[index])
    }

    private func source(_ entry: Entry) throws(EmbeddingFileError) -> any ByteSource {
        let name = "\(file.path) (\(entry.name))"
        guard entry.flags & 1 == 0 else { throw .encryptedMember(path: name) }
        guard entry.method == 0 || entry.method == 8 else {
            throw .unsupportedCompression(path: name, method: entry.method)
        }
        let local = try file.bytes(at: entry.headerOffset, count: 30)
        guard local.count == 30, Self.number(local, 0, 4) == 0x0403_4B50 else {
            throw .malformedArchive(path: name, reason: "its local header is missing")
        }
        // The header lies within the file, so its offset plus two 16-bit lengths cannot overflow.
        let start = entry.headerOffset + 30 + Self.number(local, 26, 2) + Self.number(local, 28, 2)
        let (end, overflow) = start.addingReportingOverflow(entry.compressedBytes)
        guard !overflow, end <= file.byteCount else {
            throw .malformedArchive(
                path: name,
                reason: "\(entry.compressedBytes) bytes promised, \(file.byteCount - min(start, file.byteCount)) there"
            )
        }
        let raw = FileSource(file: file, name: name, range: start..<end)
        if entry.method == 0 {
            guard entry.byteCount == entry.compressedBytes else {
                throw .malformedArchive(path: name, reason: "a stored entry has two different sizes")
            }
            return StoredEntrySource(source: raw, checksum: entry.checksum)
        }
        // Deflate cannot expand more than 1032 times, so a larger promise is a lie (or a bomb).
        guard entry.byteCount / 1032 <= entry.compressedBytes else {
            throw .malformedArchive(path: name, reason: "it promises more than deflate can hold")
        }
        return DeflatedEntrySource(source: raw, byteCount: entry.byteCount, checksum: entry.checksum)
    }

    /// Finds the central directory through the end record and, if there is one, the zip64 end record.
    private static func locateDirectory(
        _ file: InputFile
    ) throws(EmbeddingFileError) -> (offset: UInt64, byteCount: UInt64) {
        let tailBytes = Int(min(file.byteCount, 22 + 65_535))
        let tailOffset = file.byteCount - UInt64(tailBytes)
        let tail = try file.bytes(at: tailOffset, count: tailBytes)
        var end = tail.count - 22
        while end >= 0, number(tail, end, 4) != 0x0605_4B50 { end -= 1 }
        guard end >= 0 else { throw .malformedArchive(path: file.path, reason: "its directory is missing") }
        var byteCount = number(tail, end + 12, 4)
        var offset = number(tail, end + 16, 4)
        if end >= 20, number(tail, end - 20, 4) == 0x0706_4B50 {
            let record = try file.bytes(at: number(tail, end - 12, 8), count: 56)
            guard record.count == 56, number(record, 0, 4) == 0x0606_4B50 else {
                throw .malformedArchive(path: file.path, reason: "its zip64 record is missing")
            }
            byteCount = number(record, 40, 8)
            offset = number(record, 48, 8)
        }
        let (limit, overflow) = offset.addingReportingOverflow(byteCount)
        guard !overflow, limit <= file.byteCount else {
            throw .malformedArchive(path: file.path, reason: "its directory lies beyond the end of the file")
        }
        return (offset, byteCount)
    }

    /// Replaces fields that hold the marker 0xFFFFFFFF by those of extra field 1, which appear in this order.
    private static func applyZip64(_ entry: inout Entry, extra: [UInt8]) {
        var position = 0
        while position + 4 <= extra.count {
            let end = position + 4 + Int(number(extra, position + 2, 2))
            guard end <= extra.count else { return }
            if number(extra, position, 2) == 1 {
                var field = position + 4
                for path in [\Entry.byteCount, \Entry.compressedBytes, \Entry.headerOffset]
                where entry[keyPath: path] == 0xFFFF_FFFF && field + 8 <= end {
                    entry[keyPath: path] = number(extra, field, 8)
                    field += 8
                }
                return
            }
            position = end
        }
    }

    /// A little-endian number; the caller has checked that it is there.
    private static func number(_ bytes: [UInt8], _ offset: Int, _ byteCount: Int) -> UInt64 {
        bytes[offset..<(offset + byteCount)].reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }
}
