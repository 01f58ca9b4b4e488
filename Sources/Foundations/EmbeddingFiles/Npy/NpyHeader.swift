/// The header of a numpy array file.
///
/// | bytes | content |
/// |---|---|
/// | 6 | magic `93 4E 55 4D 50 59` |
/// | 2 | version: 1.0, 2.0 or 3.0 |
/// | 2 (version 1) or 4 | little-endian length of the text |
/// | length | `{'descr': '<f4', 'fortran_order': False, 'shape': (3, 4), }`, spaces, LF |
///
/// Source: numpy.lib.format, "Format Version 1.0" to "3.0".
struct NpyHeader: Equatable {
    /// Type as numpy writes it: byte order, kind, bytes per number, such as `<f4`.
    var type: String
    var isFortranOrder: Bool
    var shape: [Int]

    static let magic: [UInt8] = [0x93, 0x4E, 0x55, 0x4D, 0x50, 0x59]
    static let textLimitBytes = 1 << 16

    /// Reads magic, version, length and text from the start of `source`.
    static func read(from source: any ByteSource) throws(EmbeddingFileError) -> NpyHeader {
        let path = source.name
        let start = try source.bytes(8)
        guard start.starts(with: magic) else {
            let isText = start.allSatisfy { $0 >= 0x20 && $0 < 0x7F || $0 >= 0x09 && $0 <= 0x0D }
            if start.isEmpty { throw .emptyFile(path: path) }
            throw .notNpy(path: path, looksLikeText: isText)
        }
        guard start.count == 8 else {
            throw .headerTruncated(path: path, promisedBytes: 10, presentBytes: start.count)
        }
        let (major, minor) = (Int(start[6]), Int(start[7]))
        guard (1...3).contains(major), minor == 0 else {
            throw .unsupportedNpyVersion(path: path, major: major, minor: minor)
        }
        let lengthBytes = try source.bytes(major == 1 ? 2 : 4)
        guard lengthBytes.count == (major == 1 ? 2 : 4) else {
            throw .headerTruncated(path: path, promisedBytes: major == 1 ? 10 : 12, presentBytes: 8 + lengthBytes.count)
        }
        let byteCount = lengthBytes.reversed().reduce(0) { $0 << 8 | Int($1) }
        guard byteCount <= textLimitBytes else {
            throw .headerTooLong(path: path, byteCount: byteCount, limitBytes: textLimitBytes)
        }
        let text = try source.bytes(byteCount)
        guard text.count == byteCount else {
            throw .headerTruncated(path: path, promisedBytes: byteCount, presentBytes: text.count)
        }
        var parser = NpyHeaderParser(text: text)
        do throws(NpyHeaderParser.Fault) {
            return try parser.parse()
        } catch {
            throw .malformedHeader(path: path, reason: error.reason)
        }
    }

    /// The header as bytes of version 1.0, padded to a fixed 128 bytes so that it can be rewritten with another row
    /// count.
    static func rendered(type: String, rows: Int, columns: Int) -> [UInt8] {
        let text = "{'descr': '\(type)', 'fortran_order': False, 'shape': (\(rows), \(columns)), }"
        let padded = text + String(repeating: " ", count: 117 - text.utf8.count) + "\n"
        return magic + [1, 0, 118, 0] + Array(padded.utf8)
    }
}

/// Reads the Python dictionary of a header: only strings, booleans and tuples of integers, as numpy writes them.
struct NpyHeaderParser {
    struct Fault: Error {
        var reason: String
    }

    private let text: [UInt8]
    private var position = 0

    init(text: [UInt8]) {
        self.text = text
    }

    mutating func parse() throws(Fault) -> NpyHeader {
        var type: String?
        var isFortranOrder: Bool?
        var shape: [Int]?
        try expect("{")
        while !take("}") {
            let key = try string()
            try expect(":")
            switch key {
            case "descr": type = try typeText()
            case "fortran_order": isFortranOrder = try boolean()
            case "shape": shape = try tuple()
            default: throw Fault(reason: "key '\(key.prefix(40))' is unknown")
            }
            if !take(",") {
                try expect("}")
                break
            }
        }
        skipBlanks()
        guard position == text.count else { throw Fault(reason: "there is text after the dictionary") }
        guard let type else { throw Fault(reason: "key 'descr' is missing") }
        guard let isFortranOrder else { throw Fault(reason: "key 'fortran_order' is missing") }
        guard let shape else { throw Fault(reason: "key 'shape' is missing") }
        return NpyHeader(type: type, isFortranOrder: isFortranOrder, shape: shape)
    }

    private mutating func skipBlanks() {
        while position < text.count, text[position] == 0x20 || (0x09...0x0D).contains(text[position]) { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard position < text.count, text[position] == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private mutating func expect(_ character: Unicode.Scalar) throws(Fault) {
        guard take(character) else { throw Fault(reason: "'\(character)' is missing at byte \(position)") }
    }

    private mutating func string() throws(Fault) -> String {
        skipBlanks()
        guard position < text.count, text[position] == UInt8(ascii: "'") || text[position] == UInt8(ascii: "\"") else {
            throw Fault(reason: "a string is missing at byte \(position)")
        }
        let quote = text[position]
        guard let end = text[(position + 1)...].firstIndex(of: quote) else {
            throw Fault(reason: "a string has no end")
        }
        defer { position = end + 1 }
        return String(decoding: text[(position + 1)..<end], as: UTF8.self)
    }

    /// A plain type, or `structured` for the list of fields of a structured one.
    private mutating func typeText() throws(Fault) -> String {
        skipBlanks()
        guard position < text.count, text[position] == UInt8(ascii: "[") else { return try string() }
        guard let end = text[position...].lastIndex(of: UInt8(ascii: "]")) else {
            throw Fault(reason: "a list has no end")
        }
        position = end + 1
        return "structured"
    }

    private mutating func boolean() throws(Fault) -> Bool {
        skipBlanks()
        for (word, value) in [("False", false), ("True", true)] where text[position...].starts(with: word.utf8) {
            position += word.utf8.count
            return value
        }
        throw Fault(reason: "True or False is missing at byte \(position)")
    }

    private mutating func tuple() throws(Fault) -> [Int] {
        var values: [Int] = []
        try expect("(")
        while !take(")") {
            skipBlanks()
            let start = position
            var value = 0
            while position < text.count, let digit = Character(Unicode.Scalar(text[position])).wholeNumberValue {
                let (product, overflow) = value.multipliedReportingOverflow(by: 10)
                let (sum, carry) = product.addingReportingOverflow(digit)
                guard !overflow, !carry else { throw Fault(reason: "the shape is beyond any file") }
                value = sum
                position += 1
            }
            guard position > start else { throw Fault(reason: "a count is missing at byte \(start)") }
            _ = take("L")
            values.append(value)
            guard values.count <= 32 else { throw Fault(reason: "the shape has more than 32 axes") }
            if !take(",") {
                try expect(")")
                break
            }
        }
        return values
    }
}
