import Foundation

/// Numpy arrays as a story needs them, right or wrong.
struct NpyFile {
    var rows: [[Float]]
    var type = "<f4"
    var isFortran = false
    /// Rows that the header promises; those that are there unless given.
    var promisedRows: Int?
    var dimension: Int?

    var data: Data {
        let shape = "(\(promisedRows ?? rows.count), \(dimension ?? rows.first?.count ?? 0))"
        let dictionary = "{'descr': '\(type)', 'fortran_order': \(isFortran ? "True" : "False"), 'shape': \(shape), }"
        let padding = 63 - (10 + dictionary.utf8.count) % 64
        let header = dictionary + String(repeating: " ", count: padding) + "\n"
        var data = Data([0x93]) + Data("NUMPY".utf8) + Data([1, 0])
        data.append(contentsOf: [UInt8(header.utf8.count & 0xFF), UInt8(header.utf8.count >> 8)])
        data.append(Data(header.utf8))
        for value in rows.joined() {
            withUnsafeBytes(of: value.bitPattern.littleEndian) { data.append(contentsOf: $0) }
        }
        return data
    }
}
