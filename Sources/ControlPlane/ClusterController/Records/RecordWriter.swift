import ClusterModel
import FaceModel

/// Writes the fields of a metadata record: integers little-endian, 128-bit ids big-endian, text as u16 byte count and
/// UTF-8.
struct RecordWriter {
    private(set) var bytes: [UInt8]

    /// Begins with the layout's version.
    init(version: UInt8) {
        bytes = [version]
    }

    mutating func integer(_ value: some FixedWidthInteger) { bytes += value.littleEndianBytes }

    mutating func float(_ value: Float) { integer(value.bitPattern) }

    mutating func double(_ value: Double) { integer(value.bitPattern) }

    mutating func text(_ value: String) {
        integer(UInt16(value.utf8.count))
        bytes += Array(value.utf8)
    }

    mutating func id(high: UInt64, low: UInt64) { bytes += high.bigEndianBytes + low.bigEndianBytes }

    mutating func raw(_ value: [UInt8]) { bytes += value }
}

/// Reads what ``RecordWriter`` wrote. Every read is checked: a file on disk is the outside world.
struct RecordReader {
    struct Problem: Error, Hashable {
        let reason: String
    }

    private var rest: ArraySlice<UInt8>

    init(_ bytes: [UInt8], version: UInt8) throws(Problem) {
        rest = bytes[...]
        let found: UInt8 = try integer()
        guard found == version else { throw Problem(reason: "its layout is \(found), not \(version)") }
    }

    mutating func raw(_ byteCount: Int) throws(Problem) -> ArraySlice<UInt8> {
        guard rest.count >= byteCount else { throw Problem(reason: "it ends too early") }
        defer { rest = rest.dropFirst(byteCount) }
        return rest.prefix(byteCount)
    }

    mutating func integer<T: FixedWidthInteger>() throws(Problem) -> T {
        T(littleEndianBytes: try raw(T.bitWidth / 8))
    }

    mutating func float() throws(Problem) -> Float { Float(bitPattern: try integer()) }

    mutating func double() throws(Problem) -> Double { Double(bitPattern: try integer()) }

    mutating func text() throws(Problem) -> String {
        let byteCount: UInt16 = try integer()
        guard let text = String(validating: try raw(Int(byteCount)), as: UTF8.self) else {
            throw Problem(reason: "a text is not UTF-8")
        }
        return text
    }

    mutating func id() throws(Problem) -> (high: UInt64, low: UInt64) {
        (UInt64(bigEndianBytes: try raw(8)), UInt64(bigEndianBytes: try raw(8)))
    }

    /// A count of entries that take at least `leastByteCount` bytes each, checked before anything is allocated.
    mutating func count(leastByteCount: Int) throws(Problem) -> Int {
        let count: UInt32 = try integer()
        guard Int(count) <= rest.count / leastByteCount else { throw Problem(reason: "it ends too early") }
        return Int(count)
    }

    func end() throws(Problem) {
        guard rest.isEmpty else { throw Problem(reason: "\(rest.count) bytes are left over") }
    }
}
