import FaceModel
import PartitionStore
import Testing
import VectorMath

/// Chunks of rows and codes and pieces of tombstones: golden headers, and every changed byte.
struct ChunkTests {
    private static let shape = RowChunk.Shape(dimension: 64, precision: .float16)
    private static let key = CodeChunkKey(run: 3, chunk: 4)

    private func rowChunk() -> [UInt8] {
        var generator = SplitMix64(seed: 1)
        var bytes = (0..<Self.shape.chunkByteCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
        bytes.withUnsafeMutableBytes { RowChunk.seal($0, shape: Self.shape, chunk: 5) }
        return bytes
    }

    /// Values that tell their places.
    private func roundedChunk() -> [UInt8] {
        var bytes = [UInt8](repeating: 0xee, count: RoundedRowChunk.byteCount(dimension: 64))
        bytes.withUnsafeMutableBytes {
            RoundedRowChunk.write(into: $0, dimension: 64, chunk: 5) { rows, scales, errors, norms in
                for index in rows.indices { rows[index] = Int8(truncatingIfNeeded: index % 255 - 127) }
                for row in scales.indices {
                    scales[row] = Float(row + 1)
                    errors[row] = Float(row + 1001)
                    norms[row] = Float(row + 2001)
                }
            }
        }
        return bytes
    }

    private func codeChunk(planeCount: Int = 3, slotCount: Int = 1008) -> [UInt8] {
        var generator = SplitMix64(seed: 2)
        var bytes = [UInt8](repeating: 0xee, count: CodeChunk.byteCount(planeCount: planeCount, slotCount: slotCount))
        let codes = (0..<slotCount * 16 * planeCount).map { _ in UInt8.random(in: 0...255, using: &generator) }
        bytes.withUnsafeMutableBytes {
            CodeChunk.write(
                into: $0,
                planeCount: planeCount,
                generation: 9,
                key: Self.key,
                slotsInUse: 1000,
                codes: codes,
                rowIDs: (0..<UInt32(slotCount)).map { $0 < 1000 ? $0 + 70_000 : VectorKernels.absentRow },
                factors: (0..<UInt16(slotCount)).map { $0 + 0x3c00 }
            )
        }
        return bytes
    }

    @Test func rowChunksHaveTheirHeader() throws {
        let bytes = rowChunk()
        #expect(bytes.count == 48 + 128 * 128)
        #expect(bytes[..<16] == [0x4d, 0x52, 0x4f, 0x57, 1, 0, 128, 0, 64, 0, 0, 0, 5, 0, 0, 0])
        #expect(bytes[16..<44].allSatisfy { $0 == 0 })
        try bytes.withUnsafeBytes { bytes in
            let chunk = try RowChunk(bytes, shape: Self.shape)
            try chunk.verify(chunk: 5)
            #expect(chunk.rows.count == 128 * 128 && chunk.rows[0] == bytes[48])
        }
    }

    @Test func roundedRowChunksHaveTheirHeaderAndPlaces() throws {
        let bytes = roundedChunk()
        #expect(bytes.count == 48 + 128 * 64 + 3 * 512)
        #expect(bytes[..<16] == [0x4d, 0x52, 0x4e, 0x44, 1, 0, 128, 0, 64, 0, 0, 0, 5, 0, 0, 0])
        #expect(bytes[16..<44].allSatisfy { $0 == 0 })
        try bytes.withUnsafeBytes { bytes in
            let chunk = try RoundedRowChunk(bytes, dimension: 64)
            try chunk.verify(chunk: 5)
            #expect(chunk.rows.count == 128 * 64 && chunk.rows[300] == Int8(300 % 255 - 127))
            #expect(chunk.rows[300] == bytes.load(fromByteOffset: 48 + 300, as: Int8.self))
            let places = [(chunk.scales, 0, 1), (chunk.errors, 512, 1001), (chunk.norms, 1024, 2001)]
            for (values, place, first) in places {
                #expect(values.count == 128 && values[127] == Float(first + 127))
                #expect(bytes.load(fromByteOffset: 48 + 128 * 64 + place + 4, as: Float.self) == Float(first + 1))
            }
        }
    }

    @Test func clearedRoundedRowsAreZeroAndOthersStay() throws {
        let sound = roundedChunk()
        var bytes = sound
        bytes.withUnsafeMutableBytes { RoundedRowChunk.clear([0, 70, 127], in: $0, dimension: 64, chunk: 5) }
        try bytes.withUnsafeBytes { bytes in
            try sound.withUnsafeBytes { sound in
                let chunk = try RoundedRowChunk(bytes, dimension: 64)
                let before = try RoundedRowChunk(sound, dimension: 64)
                try chunk.verify(chunk: 5)
                for row in 0..<128 {
                    let isCleared = [0, 70, 127].contains(row)
                    let places = row * 64..<(row + 1) * 64
                    #expect(chunk.rows[places].allSatisfy { $0 == 0 } == isCleared)
                    #expect(Array(chunk.rows[places]) == Array(before.rows[places]) || isCleared)
                    for (after, before) in [
                        (chunk.scales, before.scales), (chunk.errors, before.errors), (chunk.norms, before.norms),
                    ] { #expect(after[row] == (isCleared ? 0 : before[row])) }
                }
            }
        }
    }

    @Test func codeChunksHaveTheirHeaderAndPlaces() throws {
        let bytes = codeChunk()
        #expect(bytes.count == 48 + 2 * 16_128 + 1008 * 32)
        #expect(CodeChunk.byteCount(planeCount: 1) == 48 + 16_128 + 1008 * 16)
        #expect(CodeChunk.byteCount(planeCount: 5) == 48 + 2 * 16_128 + 1008 * 64)
        #expect(
            bytes[..<24] == [0x4d, 0x43, 0x4f, 0x44, 3, 0, 3, 0, 9, 0, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 0xe8, 3, 0, 0]
        )
        #expect(bytes[24..<44].allSatisfy { $0 == 0 })
        try bytes.withUnsafeBytes { bytes in
            let chunk = try CodeChunk(bytes, planeCount: 3, key: Self.key)
            try chunk.verify(Self.key)
            #expect(chunk.slotCount == 1008 && chunk.headByteCount == 16_128)
            #expect(chunk.heads[16_128] == bytes[48 + 16_128])
            #expect(chunk.records[32] == bytes[48 + 32_256 + 32])
            #expect(VectorKernels.slot(999, records: chunk.records, planeCount: 3) == (70_999, 0x3c00 + 999))
            #expect(VectorKernels.slot(1000, records: chunk.records, planeCount: 3).rowID == UInt32.max)
            #expect(bytes.loadUnaligned(fromByteOffset: 48 + 32_256 + 32 * 7 + 16, as: UInt32.self) == 70_007)
        }
    }

    /// Behind LMDB's header of 16 bytes a chunk ends shortly before a page does.
    @Test(arguments: 3...8)
    func codeChunksFillTheirPages(planeCount: Int) {
        let byteCount = 16 + CodeChunk.byteCount(planeCount: planeCount)
        let earlier = 16 + CodeChunk.byteCount(planeCount: planeCount, slotCount: CodeChunk.earlierSlotCount)
        #expect((byteCount + 4095) / 4096 < (earlier + 4095) / 4096)
        #expect((4096 - byteCount % 4096) % 4096 < 2300)
        if planeCount == 5 { #expect((byteCount + 4095) / 4096 == 24) }
    }

    @Test func codeChunksOfAnEarlierFormatAreRead() throws {
        let bytes = codeChunk(slotCount: 1024)
        #expect(bytes.count == 48 + 2 * 16_384 + 1024 * 32 && bytes[4] == 2)
        try bytes.withUnsafeBytes { bytes in
            let chunk = try CodeChunk(bytes, planeCount: 3, key: Self.key)
            try chunk.verify(Self.key)
            #expect(chunk.slotCount == 1024 && chunk.headByteCount == 16_384)
            #expect(chunk.heads[16_384] == bytes[48 + 16_384])
            #expect(chunk.records[32] == bytes[48 + 32_768 + 32])
            #expect(VectorKernels.slot(999, records: chunk.records, planeCount: 3) == (70_999, 0x3c00 + 999))
            #expect(VectorKernels.slot(1023, records: chunk.records, planeCount: 3).rowID == UInt32.max)
        }
    }

    @Test func everyChangedByteIsNoticed() {
        var rows = rowChunk()
        var rounded = roundedChunk()
        var codes = codeChunk()
        for offset in Array(0..<64) + Array(stride(from: 64, to: rounded.count, by: 61)) + [rounded.count - 1] {
            rounded[offset] ^= 4
            #expect(throws: PartitionStoreError.self, "rounded rows, \(offset)") {
                try rounded.withUnsafeBytes { try RoundedRowChunk($0, dimension: 64).verify(chunk: 5) }
            }
            rounded[offset] ^= 4
        }
        for offset in Array(0..<64) + Array(stride(from: 64, to: rows.count, by: 61)) + [rows.count - 1] {
            rows[offset] ^= 4
            #expect(throws: PartitionStoreError.self, "rows, \(offset)") {
                try rows.withUnsafeBytes { try RowChunk($0, shape: Self.shape).verify(chunk: 5) }
            }
            rows[offset] ^= 4
        }
        for offset in Array(0..<64) + Array(stride(from: 64, to: codes.count, by: 211)) + [codes.count - 1] {
            codes[offset] ^= 4
            #expect(throws: PartitionStoreError.self, "codes, \(offset)") {
                try codes.withUnsafeBytes { try CodeChunk($0, planeCount: 3, key: Self.key).verify(Self.key) }
            }
            codes[offset] ^= 4
        }
    }

    @Test func chunksOfAnotherPlaceOrShapeAreMalformed() {
        let rows = rowChunk()
        let rounded = roundedChunk()
        let codes = codeChunk()
        #expect(throws: PartitionStoreError.self) {
            try rounded.withUnsafeBytes { try RoundedRowChunk($0, dimension: 64).verify(chunk: 6) }
        }
        for dimension in [56, 72] {
            #expect(throws: PartitionStoreError.self) {
                try rounded.withUnsafeBytes { _ = try RoundedRowChunk($0, dimension: dimension) }
            }
        }
        #expect(throws: PartitionStoreError.self) {
            try rows.withUnsafeBytes { try RowChunk($0, shape: Self.shape).verify(chunk: 6) }
        }
        // The same number of bytes in another shape.
        let other = RowChunk.Shape(dimension: 32, precision: .float32)
        #expect(other.chunkByteCount == Self.shape.chunkByteCount)
        #expect(throws: PartitionStoreError.self) {
            try rows.withUnsafeBytes { try RowChunk($0, shape: other).verify(chunk: 5) }
        }
        for key in [CodeChunkKey(run: 4, chunk: 4), CodeChunkKey(run: 3, chunk: 5)] {
            #expect(throws: PartitionStoreError.self) {
                try codes.withUnsafeBytes { try CodeChunk($0, planeCount: 3, key: key).verify(key) }
            }
        }
        for count in [0, 47, rows.count - 1] {
            #expect(throws: PartitionStoreError.self) {
                try Array(rows.prefix(count)).withUnsafeBytes { _ = try RowChunk($0, shape: Self.shape) }
            }
        }
        for planeCount in [2, 4] {
            #expect(throws: PartitionStoreError.self) {
                try codes.withUnsafeBytes { _ = try CodeChunk($0, planeCount: planeCount, key: Self.key) }
            }
        }
    }

    /// Where a system's pages have 64 KiB, those of LMDB have 32.
    @Test func chunksHavePagesOfTheirOwnUnlessPagesAreLarge() {
        for dimension in stride(from: 64, through: 2048, by: 8) {
            let rounded = RoundedRowChunk.byteCount(dimension: dimension)
            #expect(PartitionTables.hasOwnPages(byteCount: rounded, pageByteCount: 4096))
            #expect(PartitionTables.hasOwnPages(byteCount: rounded, pageByteCount: 32_768) == (dimension > 112))
            let rows = RowChunk.Shape(dimension: dimension, precision: .float16).chunkByteCount
            #expect(PartitionTables.hasOwnPages(byteCount: rows, pageByteCount: 32_768))
        }
    }

    @Test func tombstonesGatherRows() throws {
        let first = try TombstonePiece.marking([0, 7, 8, 16_383], in: nil, piece: 2)
        #expect(first.count == 2056)
        #expect(first[4..<8] == [2, 0, 0, 0] && first[8] == 0x81 && first[9] == 1 && first[2055] == 0x80)
        let second = try first.withUnsafeBytes { try TombstonePiece.marking([9, 7], in: $0, piece: 2) }
        try second.withUnsafeBytes { bytes in
            try TombstonePiece.verify(bytes, piece: 2)
            let dead = (0..<TombstonePiece.rowCount).filter { TombstonePiece.isDead(bytes, row: $0) }
            #expect(dead == [0, 7, 8, 9, 16_383])
            let words = stride(from: 0, to: TombstonePiece.rowCount, by: 64).map {
                TombstonePiece.deadBits(bytes, first: $0)
            }
            #expect(words.count == 256 && words[0] == 0x381 && words[255] == 0x8000_0000_0000_0000)
            #expect(words[1..<255].allSatisfy { $0 == 0 })
        }
    }

    @Test func damagedTombstonesAreNoticedAndNeverSealedAgain() throws {
        let sound = try TombstonePiece.marking([5], in: nil, piece: 0)
        for offset in [0, 3, 4, 7, 8, 100, 2055] {
            var changed = sound
            changed[offset] ^= 2
            #expect(throws: PartitionStoreError.self, "offset \(offset)") {
                try changed.withUnsafeBytes { try TombstonePiece.verify($0, piece: 0) }
            }
            #expect(throws: PartitionStoreError.self, "offset \(offset)") {
                try changed.withUnsafeBytes { _ = try TombstonePiece.marking([6], in: $0, piece: 0) }
            }
        }
        #expect(throws: PartitionStoreError.self) {
            try sound.withUnsafeBytes { try TombstonePiece.verify($0, piece: 1) }
        }
        #expect(throws: PartitionStoreError.self) {
            try Array(sound.dropLast()).withUnsafeBytes { try TombstonePiece.verify($0, piece: 0) }
        }
    }

    @Test func keysSortAsTheirValues() {
        func bytes(_ key: ExpiryKey) -> [UInt8] { key.withKeyBytes { Array($0) } }
        let moments: [Int64] = [.min, -1_000_000, -1, 0, 1, 256, 1_700_000_000_000, .max]
        let keys = moments.flatMap { moment in
            [0, 1, 256, UInt32.max].map { ExpiryKey(expires: Timestamp(milliseconds: moment), row: $0) }
        }
        let sorted = keys.map(bytes).sorted { $0.lexicographicallyPrecedes($1) }
        #expect(sorted == keys.map(bytes))
        for key in keys { #expect(bytes(key).withUnsafeBytes { ExpiryKey(keyBytes: $0) } == key) }
        #expect([UInt8](repeating: 0, count: 11).withUnsafeBytes { ExpiryKey(keyBytes: $0) } == nil)
        let face = FaceID(high: 0x0102_0304_0506_0708, low: 9)
        #expect(face.withKeyBytes { Array($0) } == [1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0, 0, 0, 0, 9])
        #expect(face.withKeyBytes { FaceID(keyBytes: $0) } == face)
        #expect([UInt8](repeating: 0, count: 17).withUnsafeBytes { FaceID(keyBytes: $0) } == nil)
        #expect(CodeChunkKey(run: 1, chunk: 2).withKeyBytes { Array($0) } == [0, 0, 0, 1, 0, 0, 0, 2])
        #expect(IdempotencyKey(high: 1, low: 2).withKeyBytes { $0.count } == 16)
    }
}
