import BinaryCoding
import Testing

@Suite struct ByteReaderTests {
    private func record() -> [UInt8] {
        var writer = ByteWriter()
        writer.write(UInt16(0xbeef))
        writer.write(Int64(-5))
        writer.write(Float(1.5))
        writer.write(string: "grüße")
        writer.write(floats: [1, 2, 3])
        return writer.bytes
    }

    private func read(_ bytes: [UInt8]) throws(BinaryCodingError) -> String {
        try bytes.withUnsafeBytes { buffer throws(BinaryCodingError) -> String in
            var reader = ByteReader(buffer)
            let head = try reader.read(UInt16.self)
            let number = try reader.read(Int64.self)
            let float = try reader.readFloat()
            let text = try reader.readString()
            let floats = try reader.readFloats(count: 3)
            try reader.finish()
            return "\(head) \(number) \(float) \(text) \(floats)"
        }
    }

    @Test func whatWasWrittenIsRead() throws {
        #expect(try read(record()) == "48879 -5 1.5 grüße [1.0, 2.0, 3.0]")
    }

    @Test func everyTruncationIsAnError() {
        let bytes = record()
        for count in 0..<bytes.count {
            #expect(throws: BinaryCodingError.self) { try read(Array(bytes.prefix(count))) }
        }
    }

    @Test func trailingBytesAreAnError() {
        #expect(throws: BinaryCodingError.trailingBytes(count: 2)) { try read(record() + [0, 0]) }
    }

    @Test func aHugeCountIsRefusedBeforeItIsAllocated() {
        let bytes: [UInt8] = [1, 2, 3, 4]
        bytes.withUnsafeBytes { buffer in
            #expect(throws: BinaryCodingError.self) {
                var reader = ByteReader(buffer)
                _ = try reader.readFloats(count: Int.max / 2)
            }
        }
    }

    @Test func textThatIsNotUTF8IsAnError() {
        let bytes: [UInt8] = [2, 0, 0xc3, 0x28]
        bytes.withUnsafeBytes { buffer in
            #expect(throws: BinaryCodingError.invalidText(offset: 2)) {
                var reader = ByteReader(buffer)
                _ = try reader.readString()
            }
        }
    }
}
