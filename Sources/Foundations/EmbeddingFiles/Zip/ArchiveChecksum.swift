/// CRC-32 of zip archives (ISO 3309, reflected 0xEDB88320), continued over any number of pieces.
struct ArchiveChecksum {
    private(set) var value: UInt32 = 0

    /// Eight tables of 256: entry `[k][b]` is byte `b` followed by `k` zero bytes ("slicing by 8", Intel, 2006).
    private static let tables: [UInt32] = {
        var tables = [UInt32](repeating: 0, count: 8 * 256)
        for byte in 0..<256 {
            var crc = UInt32(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0xEDB8_8320 : crc >> 1 }
            tables[byte] = crc
        }
        for index in 256..<(8 * 256) {
            let previous = tables[index - 256]
            tables[index] = previous >> 8 ^ tables[Int(previous & 0xFF)]
        }
        return tables
    }()

    mutating func update(_ bytes: UnsafeRawBufferPointer) {
        let tables = Self.tables
        var crc = ~value
        var position = 0
        while position + 8 <= bytes.count {
            let word = unsafe bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self) ^ UInt64(crc)
            crc = 0
            for lane in 0..<8 {
                crc ^= tables[(7 - lane) << 8 + Int(word >> (8 * UInt64(lane)) & 0xFF)]
            }
            position += 8
        }
        while position < bytes.count {
            crc = unsafe crc >> 8 ^ tables[Int((crc ^ UInt32(bytes[position])) & 0xFF)]
            position += 1
        }
        value = ~crc
    }
}
