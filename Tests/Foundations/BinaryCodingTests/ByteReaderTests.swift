import BinaryCoding
import Testing

struct ByteReaderTests {
    private static let record: [UInt8] = {
        var writer = ByteWriter()
        writer.write(UInt16(0xbeef))
        writer.write(Int64(-5))
        writer.write(Float(1.5))
        writer.write(Double(-0.25))
        writer.write(string: "grüße")
        writer.write(floats: [1, 2, 3])
        return writer.bytes
    }()

    private func reading<R>(_ bytes: [UInt8], _ body: (inout ByteReader) throws -> R) throws -> R {
        try bytes.withUnsafeBytes { buffer in
            var reader = ByteReader(buffer)
            return try body(&reader)
        }
    }

    private func readRecord(_ bytes: [UInt8]) throws -> String {
        try bytes.withUnsafeBytes { buffer in
            var reader = ByteReader(buffer)
            let numbers = "\(try reader.read(UInt16.self)) \(try reader.read(Int64.self))"
            let fractions = "\(try reader.readFloat()) \(try reader.readDouble())"
            let rest = "\(try reader.readString()) \(try reader.readFloats(count: 3))"
            try reader.finish()
            return "\(numbers) \(fractions) \(rest)"
        }
    }

    @Test func textsAreReadInPlaceAndBytesAreSkipped() throws {
        let text = try reading(Self.record) { reader in
            try reader.skip(byteCount: 22)
            let text = String(decoding: try reader.readTextBytes(), as: UTF8.self)
            #expect(reader.remainingByteCount == 12)
            return text
        }
        #expect(text == "grüße")
        #expect(throws: BinaryCodingError.truncated(offset: 0, wanted: 44, available: 43)) {
            try reading(Self.record) { try $0.skip(byteCount: 44) }
        }
        #expect(throws: BinaryCodingError.truncated(offset: 2, wanted: 7, available: 1)) {
            try reading([7, 0, 65]) { _ = try $0.readTextBytes() }
        }
    }

    @Test func fieldsAreLittleEndian() {
        #expect(Self.record[..<10] == [0xef, 0xbe, 0xfb, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff])
        #expect(Self.record[10..<14] == [0, 0, 0xc0, 0x3f])
        // The string: its count in bytes, then its bytes.
        #expect(Self.record[22..<26] == [7, 0, 0x67, 0x72])
        #expect(Self.record.count == 2 + 8 + 4 + 8 + 9 + 12)
    }

    @Test func whatWasWrittenIsRead() throws {
        #expect(try readRecord(Self.record) == "48879 -5 1.5 -0.25 grüße [1.0, 2.0, 3.0]")
    }

    @Test func everyTruncationIsAnErrorThatNamesItsPlace() {
        for count in 0..<Self.record.count {
            #expect("\(count) bytes") {
                try readRecord(Array(Self.record.prefix(count)))
            } throws: { error in
                guard case BinaryCodingError.truncated(let offset, let wanted, let available) = error else {
                    return false
                }
                return offset + available == count && wanted > available
            }
        }
    }

    @Test func trailingBytesAreAnError() {
        #expect(throws: BinaryCodingError.trailingBytes(count: 2)) { try readRecord(Self.record + [0, 0]) }
    }

    @Test(arguments: [Int.max, Int.max / 2, Int.max / 4 + 1, 1 << 40, 2, -1, Int.min])
    func aCountBeyondTheBytesIsRefusedBeforeAnythingIsAllocated(count: Int) {
        #expect(throws: BinaryCodingError.self) { try reading([1, 2, 3, 4]) { try $0.readFloats(count: count) } }
    }

    @Test func aCountOfMoreThanTheRestCanHoldIsRefused() throws {
        let bytes: [UInt8] = [9, 2, 0, 0, 0, 1, 2, 3, 4]
        func count(leastByteCount: Int) throws -> Int {
            try reading(bytes) { reader in
                try reader.skip(byteCount: 1)
                return try reader.readCount(leastByteCount: leastByteCount)
            }
        }
        #expect(try count(leastByteCount: 2) == 2)
        #expect(throws: BinaryCodingError.invalidValue(field: "count", offset: 1)) { try count(leastByteCount: 3) }
        #expect(throws: BinaryCodingError.truncated(offset: 0, wanted: 4, available: 3)) {
            try reading([1, 0, 0]) { try $0.readCount(leastByteCount: 1) }
        }
    }

    @Test(arguments: [5, -1, Int.max, Int.min])
    func bytesBeyondTheEndAreRefused(count: Int) throws {
        #expect(throws: BinaryCodingError.self) { try reading([1, 2, 3, 4]) { try $0.readBytes(count: count) } }
        #expect(try reading([1, 2, 3, 4]) { try $0.readBytes(count: 4) } == [1, 2, 3, 4])
        #expect(try reading([]) { try $0.readBytes(count: 0) } == [])
    }

    @Test func aFailedReadDoesNotMove() throws {
        let offsets = try reading([9, 0, 1]) { reader in
            let number = try reader.read(UInt8.self)
            #expect(number == 9)
            _ = try? reader.read(UInt32.self)
            return (reader.offset, reader.remainingByteCount)
        }
        #expect(offsets == (1, 2))
    }

    @Test(arguments: [[2, 0, 0xc3, 0x28], [1, 0, 0xff], [3, 0, 0xed, 0xa0, 0x80], [2, 0, 0xc0, 0x80]] as [[UInt8]])
    func textThatIsNotUTF8IsAnError(bytes: [UInt8]) {
        #expect(throws: BinaryCodingError.invalidText(offset: 2)) { try reading(bytes) { try $0.readString() } }
    }

    @Test func specialFloatsKeepTheirBits() throws {
        let values: [Float] = [.nan, -.infinity, -0.0, .leastNonzeroMagnitude]
        var writer = ByteWriter()
        writer.write(floats: values)
        let read = try reading(writer.bytes) { try $0.readFloats(count: 4) }
        #expect(read.map(\.bitPattern) == values.map(\.bitPattern))
    }
}
