internal import BinaryCoding
package import FaceModel
internal import Glibc

/// A face filter in the form that stored records are held against: bytes, so that nothing has to be decoded.
package struct RecordFilter: Hashable, Sendable {
    /// Each once; nil for any.
    package let personIDs: [[UInt8]]?
    /// Each once; nil for any.
    package let externalImageIDs: [[UInt8]]?
    private let attributes: [Attribute]
    private let createdFrom: Int64?
    private let createdBefore: Int64?

    private struct Attribute: Hashable {
        let key: [UInt8]
        let value: [UInt8]
    }

    package init(_ filter: FaceFilter) {
        personIDs = filter.personIDs.map(Self.names)
        externalImageIDs = filter.externalImageIDs.map(Self.names)
        attributes = filter.attributes.map { Attribute(key: Array($0.key.utf8), value: Array($0.value.utf8)) }
            .sorted { $0.key.lexicographicallyPrecedes($1.key) }
        createdFrom = filter.createdFrom?.milliseconds
        createdBefore = filter.createdBefore?.milliseconds
    }

    private static func names(_ names: [String]) -> [[UInt8]] {
        Set(names.map { Array($0.utf8) }).sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// The row of a face's record, which is verified, and whether the face passes.
    package func examine(
        _ bytes: UnsafeRawBufferPointer,
        of face: FaceID
    ) throws(PartitionStoreError) -> (row: UInt32, passes: Bool) {
        let body = try unsafe RecordSeal.open(bytes, under: face, table: "faces", key: face.high)
        do throws(BinaryCodingError) {
            var reader = unsafe ByteReader(body)
            let row = try reader.read(UInt32.self)
            return (row, try passes(&reader))
        } catch {
            throw .malformed(table: "faces", reason: "\(error)")
        }
    }

    /// Reads on from behind the row id.
    private func passes(_ reader: inout ByteReader) throws(BinaryCodingError) -> Bool {
        try reader.skip(byteCount: 16)
        let flags = try reader.read(UInt16.self)
        func has(_ bit: UInt16) -> Bool { flags & 1 << bit != 0 }
        guard try unsafe isOne(of: personIDs, has(0) ? reader.readTextBytes() : nil),
            try unsafe isOne(of: externalImageIDs, has(1) ? reader.readTextBytes() : nil)
        else { return false }
        if has(2) { _ = try unsafe reader.readTextBytes() }
        try reader.skip(byteCount: (has(3) ? 16 : 0) + (has(4) ? 4 : 0) + (has(5) ? 4 : 0))
        let created = has(6) ? try reader.read(Int64.self) : nil
        if let createdFrom, created.map({ $0 < createdFrom }) ?? true { return false }
        if let createdBefore, created.map({ $0 >= createdBefore }) ?? true { return false }
        if attributes.isEmpty { return true }
        if has(7) { try reader.skip(byteCount: 8) }
        var metCount = 0
        for _ in 0..<(has(8) ? try reader.read(UInt8.self) : 0) {
            let key = try unsafe reader.readTextBytes()
            let value = try unsafe reader.readTextBytes()
            if attributes.contains(where: { unsafe Self.isSame($0.key, key) && Self.isSame($0.value, value) }) {
                metCount += 1
            }
        }
        return metCount == attributes.count
    }

    private func isOne(of names: [[UInt8]]?, _ stored: UnsafeRawBufferPointer?) -> Bool {
        guard let names else { return true }
        guard let stored = unsafe stored else { return false }
        return names.contains { unsafe Self.isSame($0, stored) }
    }

    private static func isSame(_ wanted: [UInt8], _ stored: UnsafeRawBufferPointer) -> Bool {
        guard wanted.count == stored.count else { return false }
        return unsafe wanted.withUnsafeBytes { wanted in
            guard let first = wanted.baseAddress, let other = stored.baseAddress else { return true }
            return unsafe memcmp(first, other, stored.count) == 0
        }
    }
}
