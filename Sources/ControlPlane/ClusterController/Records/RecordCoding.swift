import BinaryCoding
import ClusterModel

/// Why the bytes of a metadata record hold no record, where they can be read at all.
struct RecordProblem: Error, CustomStringConvertible {
    let description: String
}

/// A metadata record is of a layout or a kind that is not known here: a later version wrote it.
struct NewerRecord: Error {
    let reason: String
}

/// A metadata record: its layout, one byte, then its fields. 128-bit ids are big-endian, as everywhere.
enum RecordCoding {
    static func bytes(layout: UInt8, _ write: (inout ByteWriter) -> Void) -> [UInt8] {
        var writer = ByteWriter()
        writer.write(layout)
        write(&writer)
        return writer.bytes
    }

    /// - Parameter layout: the one that the bytes are of, or the newest where they are of none that is known.
    /// - Throws: `RecordProblem` or `BinaryCodingError`, either of which reads as the reason why a record is corrupt;
    ///   `NewerRecord`.
    static func read<T>(
        _ bytes: [UInt8],
        layout: UInt8,
        _ read: (inout ByteReader) throws -> T
    ) throws -> T {
        try unsafe bytes.withUnsafeBytes { buffer in
            var reader = unsafe ByteReader(buffer)
            let found = try reader.read(UInt8.self)
            guard found <= layout else {
                throw NewerRecord(reason: "its layout is \(found), and those up to \(layout) are known here")
            }
            guard found == layout else { throw RecordProblem(description: "its layout is \(found), not \(layout)") }
            let value = try read(&reader)
            try reader.finish()
            return value
        }
    }
}

extension ByteWriter {
    mutating func write(high: UInt64, low: UInt64) {
        write(high.bigEndian)
        write(low.bigEndian)
    }

    mutating func write(_ node: NodeID) { write(high: node.high, low: node.low) }

    mutating func write(_ flag: Bool) { write(flag ? 1 : 0 as UInt8) }
}

extension ByteReader {
    mutating func readID() throws(BinaryCodingError) -> (high: UInt64, low: UInt64) {
        (UInt64(bigEndian: try read()), UInt64(bigEndian: try read()))
    }

    mutating func readEpoch() throws(BinaryCodingError) -> Epoch { Epoch(try readCounter("epoch")) }

    /// What counts changes, so that there is a next one.
    mutating func readCounter(_ field: String) throws(BinaryCodingError) -> UInt64 {
        let start = offset
        let number = try read(UInt64.self)
        guard number <= Epoch.numberLimit else { throw .invalidValue(field: field, offset: start) }
        return number
    }

    mutating func readFlag(_ field: String) throws(BinaryCodingError) -> Bool {
        let start = offset
        switch try read(UInt8.self) {
        case 0: return false
        case 1: return true
        default: throw .invalidValue(field: field, offset: start)
        }
    }

    mutating func readEnumeration<T: RawRepresentable>(_ field: String) throws(BinaryCodingError) -> T
    where T.RawValue == UInt8 {
        let start = offset
        guard let value = T(rawValue: try read()) else { throw .invalidValue(field: field, offset: start) }
        return value
    }
}

extension NodeID {
    init(from reader: inout ByteReader) throws(BinaryCodingError) {
        let (high, low) = try reader.readID()
        self.init(high: high, low: low)
    }
}
