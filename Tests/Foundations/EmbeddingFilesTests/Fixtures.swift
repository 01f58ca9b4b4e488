import EmbeddingFiles
import Foundation

/// A folder of its own for one test, removed with it.
final class TemporaryFolder {
    let path: String

    init() {
        path = NSTemporaryDirectory() + "/mien-files-\(UUID().uuidString)"
        try! FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: path) }

    func file(_ name: String, _ bytes: [UInt8]) -> String {
        let file = "\(path)/\(name)"
        try! Data(bytes).write(to: URL(fileURLWithPath: file))
        return file
    }

    func file(_ name: String, _ text: String) -> String { file(name, Array(text.utf8)) }
}

/// Cuts a file off, also for those who have it open.
func truncate(_ path: String, to byteCount: UInt64) throws {
    let file = try FileHandle(forWritingTo: URL(fileURLWithPath: path))
    try file.truncate(atOffset: byteCount)
    try file.close()
}

func littleEndian<Value: FixedWidthInteger>(_ value: Value) -> [UInt8] {
    withUnsafeBytes(of: value.littleEndian) { Array($0) }
}

func floatBytes(_ values: [Float]) -> [UInt8] { values.flatMap { littleEndian($0.bitPattern) } }

/// A `.npy` file with any header text.
func npy(_ header: String, _ payload: [UInt8] = [], version: UInt8 = 1) -> [UInt8] {
    let length = version == 1 ? littleEndian(UInt16(header.utf8.count)) : littleEndian(UInt32(header.utf8.count))
    return [0x93] + Array("NUMPY".utf8) + [version, 0] + length + Array(header.utf8) + payload
}

func npyHeader(_ type: String, _ shape: String, fortran: Bool = false) -> String {
    "{'descr': '\(type)', 'fortran_order': \(fortran ? "True" : "False"), 'shape': \(shape), }\n"
}

/// Rows that a reader gives, batch by batch.
func readAll(_ path: String, batch: Int = 2, format: EmbeddingFormat? = nil, member: String? = nil) throws -> [Float] {
    var reader = try EmbeddingFile.open(path: path, format: format, member: member)
    var values: [Float] = []
    while let next = try reader.nextBatch(maximumRows: batch) { values += next.values }
    return values
}

/// The error of an expression that must fail with one.
func failure(_ body: () throws -> Void) -> EmbeddingFileError? {
    do {
        try body()
        return nil
    } catch {
        return error as? EmbeddingFileError
    }
}

func openFailure(_ path: String) -> EmbeddingFileError? {
    failure { _ = try EmbeddingFile.open(path: path) }
}

/// A zip archive of given entries, written independently of the reader.
struct ZipEntry {
    var name = "embeddings.npy"
    var data: [UInt8]
    var method: UInt16 = 0
    var flags: UInt16 = 0
    var byteCount: UInt32?
    var checksum: UInt32 = 0
}

func zip(_ entries: [ZipEntry]) -> [UInt8] {
    var bytes: [UInt8] = []
    var directory: [UInt8] = []
    for entry in entries {
        let offset = UInt32(bytes.count)
        let name = Array(entry.name.utf8)
        var common = littleEndian(UInt16(20)) + littleEndian(entry.flags)
        common += littleEndian(entry.method) + littleEndian(UInt32(0)) + littleEndian(entry.checksum)
        common += littleEndian(UInt32(entry.data.count))
        common += littleEndian(entry.byteCount ?? UInt32(entry.data.count))
        common += littleEndian(UInt16(name.count)) + littleEndian(UInt16(0))
        bytes += littleEndian(UInt32(0x0403_4B50)) + common + name + entry.data
        directory += littleEndian(UInt32(0x0201_4B50)) + littleEndian(UInt16(20)) + common
        directory += [UInt8](repeating: 0, count: 10) + littleEndian(offset) + name
    }
    var end = littleEndian(UInt32(0x0605_4B50)) + littleEndian(UInt32(0))
    end += littleEndian(UInt16(entries.count)) + littleEndian(UInt16(entries.count))
    end += littleEndian(UInt32(directory.count)) + littleEndian(UInt32(bytes.count)) + littleEndian(UInt16(0))
    return bytes + directory + end
}

/// CRC-32, bit by bit.
func crc32(_ bytes: [UInt8]) -> UInt32 {
    var crc = UInt32.max
    for byte in bytes {
        crc ^= UInt32(byte)
        for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
    }
    return ~crc
}

func decoded(_ base64: String) -> [UInt8] { Array(Data(base64Encoded: base64)!) }

/// numpy.arange(12, dtype='<f4').reshape(3, 4) and what Python's zipfile and zlib make of it.
enum PythonFixture {
    static let values: [Float] = (0..<12).map(Float.init)
    static let npy = decoded(
        """
        k05VTVBZAQB2AHsnZGVzY3InOiAnPGY0JywgJ2ZvcnRyYW5fb3JkZXInOiBGYWxzZSwgJ3NoYXBlJzogKDMsIDQpLCB9ICAgICAgICAgICAg\
        ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgIAoAAAAAAACAPwAAAEAAAEBAAACAQAAAoEAAAMBAAADgQAAA\
        AEEAABBBAAAgQQAAMEE=
        """
    )
    /// zipfile, stored, zip64 local header.
    static let stored = decoded(
        """
        UEsDBC0AAAAAAAAAIVAtbyIm//////////8OABQAZW1iZWRkaW5ncy5ucHkBABAAsAAAAAAAAACwAAAAAAAAAJNOVU1QWQEAdgB7J2Rlc2Ny\
        JzogJzxmNCcsICdmb3J0cmFuX29yZGVyJzogRmFsc2UsICdzaGFwZSc6ICgzLCA0KSwgfSAgICAgICAgICAgICAgICAgICAgICAgICAgICAg\
        ICAgICAgICAgICAgICAgICAgICAgICAgICAgICAKAAAAAAAAgD8AAABAAABAQAAAgEAAAKBAAADAQAAA4EAAAABBAAAQQQAAIEEAADBBUEsB\
        Ai0DLQAAAAAAAAAhUC1vIiawAAAAsAAAAA4AAAAAAAAAAAAAAIABAAAAAGVtYmVkZGluZ3MubnB5UEsFBgAAAAABAAEAPAAAAPAAAAAAAA==
        """
    )
    /// zipfile, deflated.
    static let deflated = decoded(
        """
        UEsDBC0AAAAIAAAAIVAtbyIm//////////8OABQAZW1iZWRkaW5ncy5ucHkBABAAsAAAAAAAAABmAAAAAAAAAJvsF+obEMnIUMZQrZ6SWpxc\
        pG6loG6TZqKuo6Cell9UUpSYF59flJIKEndLzClOBYoXZyQWpAL5GsY6CiaaOgq1CmQDLgYwaLAHEg5ABMQNQLwAiA8A8QMgZnBkYBAAYgUg\
        NnAEAFBLAQItAy0AAAAIAAAAIVAtbyImZgAAALAAAAAOAAAAAAAAAAAAAACAAQAAAABlbWJlZGRpbmdzLm5weVBLBQYAAAAAAQABADwAAACm\
        AAAAAAA=
        """
    )
    /// zlib level 9 of numpy.tile(numpy.arange(512, dtype='<f4'), (40, 1)) as .npy: dynamic codes, copies, two windows
    /// and more.
    static let dynamicDeflate = decoded(
        """
        7dVpm5BjAIbhO2sIIYQwiCkGUyZCtMoWskRZG2YSUmMmWRKDJAmpJFvGniRJSLZBkiRJkiRJki3ZErJc/ASffLie4z2f+3ifP3CNOLbLMZ27\
        1Um/9C8sK686p7LwoILCVj1KCosKCnv0qexbWdr7rD6VZeX/vHcs7VVVzntVz9KKcv6blBQXFbRo1rxpUcGAgv92Ns6/p7o1Vxs+VKMGtViC\
        tE3qowDFaIPO6I4KVGMwhmE0ajAWEzEFtZiBOViAJViBVViDtEvWQ13UQ300QEM0QgEaowmKUIwStEQrtEEHHIFO6IyT0BWnozvK0BO9UIG+\
        uBRXoBrXYCAGYTCGYChuxjAMx0iMwmjcibsxBjW4Hw/iYYzFOIzHBEzEJEzGM5iCqXgBL6EWr2IapmMGZmIWZmMO5mIe5mMBFmIRFmMJlmIZ\
        lmMFvsI3WIlV+AE/YTXW4DesxZ9I+6QO1sG6WA/rYwNsiLrYCBtjE9TDptgMm6M+tsCW2AoNsDW2wbZoiO2wPXZAI+yInbAzCrALdsVuaIzd\
        sQcK0QRNsSf2QhH2xj7YF8VohubYDyVogf1xAFriQByEg9EKh+BQtEYbtEU7tEcHHIaOOBxH4EgchaPRCcfgWByHzjgeJ+BEnIQuOBmnoCu6\
        4VSchtNxBs7EWeiOUpyNc1CGcvTAueiJ83A+LkAvXIje6IMKXIRKVKEvLkY/XIJLcRkuR39cgQG4Elehun2qkatZ5BoWuZZFBrLIdSwyiEWu\
        Z5HBLHIDiwxhkRtZZCiL3MQiN7PILSwyjEVuZZHhLDKCRUayyG0sMopFbmeR0SxyB4vcySJ3scjdLHIPi4xhkXtZpIZF7mOR+1nkARZ5kEUe\
        YpGHWeQRFhnLIo+yyDgWeYxFxrPI4ywygUWeYJGJLPIki0xikadYZDKLPM0iz7DIsywyhUWeY5GpLPI8i7zAIi+yyEss8jKL1LLIKyzyKou8\
        xiLTWOR1FpnOIm+wyAwWeZNFZrLIWywyi0XeZpHZLPIOi8xhkXdZZC6LvMci81jkfRaZzyIfsMgCFvmQRRayyEcssohFPmaRxSzyCYssYZFP\
        WWQpi3zGIstY5HMWWc4iX7DIChb5kkW+YpGvWeQbFvmWRVayyHcssopFvmeRH1jkRxb5iUV+ZpHVLPILi6xhkV9Z5DcW+Z1F1rLIHyzyJ4v8\
        xcL+23/7b//tv/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//tv/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+\
        23/7b//tv/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//tv/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7\
        b//tv/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//tv/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//t\
        v/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//tv/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//tv/23\
        //bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//tv/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//tv/23//bf\
        /tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//tv/23//bf/tt/+2//7b/9t//23/7bf/tv/+2//bf/9t/+23/7b//tv/23//bf/tt/\
        +2//7b/9t//23/7bf/tv/+3//7L/fwM=
        """
    )
}
