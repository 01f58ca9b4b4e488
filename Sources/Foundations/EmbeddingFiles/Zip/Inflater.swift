/// Inflates a raw deflate stream piece by piece.
///
/// Memory is the 32 KiB window, one input chunk and two code tables, whatever the stream claims. Every fault of the
/// stream is thrown; after a fault the stream is unusable. Source: RFC 1951.
final class Inflater {
    private enum State {
        case blockHeader
        case stored(remaining: Int)
        case compressed
        case copy(length: Int, distance: Int)
        case finished
    }

    private let source: any ByteSource
    private var state = State.blockHeader
    private var isLastBlock = false
    private var input: [UInt8] = []
    private var inputPosition = 0
    private var bits: UInt64 = 0
    private var bitCount = 0
    private var window = [UInt8](repeating: 0, count: 1 << 15)
    private var windowPosition = 0
    private var producedBytes = 0
    private var literals = HuffmanTable.fixedLiterals
    private var distances = HuffmanTable.fixedDistances

    init(source: any ByteSource) {
        self.source = source
    }

    var name: String { source.name }

    /// Fills `buffer`; fewer bytes only after the end of the stream.
    func read(into buffer: UnsafeMutableRawBufferPointer) throws(EmbeddingFileError) -> Int {
        var done = 0
        while done < buffer.count {
            switch state {
            case .finished:
                return done
            case .blockHeader:
                try readBlockHeader()
            case .stored(let remaining):
                if remaining == 0 {
                    endBlock()
                    continue
                }
                unsafe buffer[done] = emit(UInt8(truncatingIfNeeded: try take(8)))
                done += 1
                state = .stored(remaining: remaining - 1)
            case .compressed:
                done = try unsafe decode(into: buffer, from: done)
            case .copy(let length, let distance):
                let count = min(length, buffer.count - done)
                for _ in 0..<count {
                    unsafe buffer[done] = emit(window[(windowPosition - distance) & 0x7FFF])
                    done += 1
                }
                state = count == length ? .compressed : .copy(length: length - count, distance: distance)
            }
        }
        return done
    }

    /// Writes literals until the buffer is full, a copy begins or the block ends.
    private func decode(
        into buffer: UnsafeMutableRawBufferPointer,
        from start: Int
    ) throws(EmbeddingFileError) -> Int {
        var done = start
        while done < buffer.count {
            let symbol = try symbol(literals)
            if symbol < 256 {
                unsafe buffer[done] = emit(UInt8(symbol))
                done += 1
            } else if symbol == 256 {
                endBlock()
                return done
            } else {
                try beginCopy(symbol)
                return done
            }
        }
        return done
    }

    private func beginCopy(_ symbol: Int) throws(EmbeddingFileError) {
        guard symbol <= 285 else { throw fault("length code \(symbol) does not exist") }
        let lengthIndex = symbol - 257
        let length = Self.lengthBases[lengthIndex] + Int(try take(Self.lengthExtraBits[lengthIndex]))
        let distanceIndex = try self.symbol(distances)
        guard distanceIndex < 30 else { throw fault("distance code \(distanceIndex) does not exist") }
        let distance = Self.distanceBases[distanceIndex] + Int(try take(Self.distanceExtraBits[distanceIndex]))
        guard distance <= producedBytes else { throw fault("a copy reaches back before the start") }
        state = .copy(length: length, distance: distance)
    }

    private func endBlock() {
        state = isLastBlock ? .finished : .blockHeader
    }

    private func emit(_ byte: UInt8) -> UInt8 {
        window[windowPosition] = byte
        windowPosition = (windowPosition + 1) & 0x7FFF
        // Only "has the window been filled once" matters beyond 32 KiB.
        producedBytes = min(producedBytes + 1, 1 << 15)
        return byte
    }

    private func readBlockHeader() throws(EmbeddingFileError) {
        isLastBlock = try take(1) == 1
        switch try take(2) {
        case 0:
            _ = try take(bitCount & 7)
            let length = Int(try take(16))
            guard try take(16) == UInt64(length ^ 0xFFFF) else { throw fault("a stored block's length is damaged") }
            state = .stored(remaining: length)
        case 1:
            literals = HuffmanTable.fixedLiterals
            distances = HuffmanTable.fixedDistances
            state = .compressed
        case 2:
            try readTables()
            state = .compressed
        default:
            throw fault("block type 3 does not exist")
        }
    }

    private func readTables() throws(EmbeddingFileError) {
        let literalCount = Int(try take(5)) + 257
        let distanceCount = Int(try take(5)) + 1
        let lengthCount = Int(try take(4)) + 4
        guard literalCount <= 286, distanceCount <= 30 else { throw fault("a block has too many codes") }
        var lengthLengths = [UInt8](repeating: 0, count: 19)
        for index in 0..<lengthCount { lengthLengths[Self.lengthOrder[index]] = UInt8(try take(3)) }
        guard let lengthTable = HuffmanTable(lengths: lengthLengths) else { throw fault("code lengths do not fit") }
        var lengths: [UInt8] = []
        while lengths.count < literalCount + distanceCount {
            let symbol = try symbol(lengthTable)
            let (value, count): (UInt8, Int)
            switch symbol {
            case 16:
                guard let last = lengths.last else { throw fault("a repeat has nothing to repeat") }
                (value, count) = (last, 3 + Int(try take(2)))
            case 17: (value, count) = (0, 3 + Int(try take(3)))
            case 18: (value, count) = (0, 11 + Int(try take(7)))
            default: (value, count) = (UInt8(symbol), 1)
            }
            guard lengths.count + count <= literalCount + distanceCount else { throw fault("a repeat is too long") }
            lengths.append(contentsOf: repeatElement(value, count: count))
        }
        guard lengths[256] != 0 else { throw fault("a block cannot end") }
        guard let literals = HuffmanTable(lengths: Array(lengths[..<literalCount])),
            let distances = HuffmanTable(lengths: Array(lengths[literalCount...]))
        else { throw fault("codes do not fit") }
        self.literals = literals
        self.distances = distances
    }

    private func symbol(_ table: HuffmanTable) throws(EmbeddingFileError) -> Int {
        if bitCount < 15 { try refill() }
        let entry = table.entries[Int(bits & table.mask)]
        let length = Int(entry & 0xF)
        guard length > 0 else { throw fault("a code is not in its table") }
        guard length <= bitCount else { throw fault("the stream ends inside a block") }
        bits >>= UInt64(length)
        bitCount -= length
        return Int(entry >> 4)
    }

    private func take(_ count: Int) throws(EmbeddingFileError) -> UInt64 {
        if bitCount < count { try refill() }
        guard bitCount >= count else { throw fault("the stream ends inside a block") }
        let value = bits & (1 << UInt64(count) - 1)
        bits >>= UInt64(count)
        bitCount -= count
        return value
    }

    /// Tops up the bit reserve to at least 48 bits, or to what is left.
    private func refill() throws(EmbeddingFileError) {
        while bitCount <= 48 {
            if inputPosition == input.count {
                input = try source.bytes(1 << 16)
                inputPosition = 0
                if input.isEmpty { return }
            }
            bits |= UInt64(input[inputPosition]) << UInt64(bitCount)
            inputPosition += 1
            bitCount += 8
        }
    }

    private func fault(_ reason: String) -> EmbeddingFileError {
        .corruptDeflate(path: name, reason: reason)
    }

    private static let lengthOrder = [16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15]
    private static let lengthBases = [
        3, 4, 5, 6, 7, 8, 9, 10, 11, 13, 15, 17, 19, 23, 27, 31, 35, 43, 51, 59, 67, 83, 99, 115, 131, 163, 195, 227,
        258,
    ]
    private static let lengthExtraBits = [
        0, 0, 0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 2, 2, 2, 2, 3, 3, 3, 3, 4, 4, 4, 4, 5, 5, 5, 5, 0,
    ]
    private static let distanceBases = [
        1, 2, 3, 4, 5, 7, 9, 13, 17, 25, 33, 49, 65, 97, 129, 193, 257, 385, 513, 769, 1025, 1537, 2049, 3073, 4097,
        6145, 8193, 12289, 16385, 24577,
    ]
    private static let distanceExtraBits = [
        0, 0, 0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9, 10, 10, 11, 11, 12, 12, 13, 13,
    ]
}

/// A Huffman code as one table: the next bits lead to the symbol and the length of its code.
struct HuffmanTable {
    /// `symbol << 4 | length`; 0 where no code begins with these bits.
    let entries: [UInt16]
    let mask: UInt64

    static let fixedLiterals = HuffmanTable(
        lengths: (0..<288).map { $0 < 144 ? 8 : $0 < 256 ? 9 : $0 < 280 ? 7 : 8 }
    )!
    static let fixedDistances = HuffmanTable(lengths: [UInt8](repeating: 5, count: 32))!

    /// Builds the canonical code; `nil` if the lengths claim more codes than there are, or leave some unused
    /// (allowed only for one code of one bit, or none at all, as RFC 1951 section 3.2.7 says of distances).
    init?(lengths: [UInt8]) {
        var counts = [Int](repeating: 0, count: 16)
        for length in lengths { counts[Int(length)] += 1 }
        counts[0] = 0
        let longest = counts.lastIndex { $0 > 0 } ?? 0
        var codes = [Int](repeating: 0, count: 17)
        var left = 1
        for length in 1...15 {
            left = left << 1 - counts[length]
            guard left >= 0 else { return nil }
            codes[length + 1] = (codes[length] + counts[length]) << 1
        }
        guard left == 0 || longest == 0 || (longest == 1 && counts[1] == 1) else { return nil }
        var entries = [UInt16](repeating: 0, count: 1 << longest)
        for (symbol, length) in lengths.enumerated() where length > 0 {
            let code = codes[Int(length)]
            codes[Int(length)] += 1
            var reversed = 0
            for bit in 0..<Int(length) where code >> bit & 1 == 1 { reversed |= 1 << (Int(length) - 1 - bit) }
            for index in stride(from: reversed, to: entries.count, by: 1 << Int(length)) {
                entries[index] = UInt16(symbol << 4) | UInt16(length)
            }
        }
        self.entries = entries
        mask = UInt64(entries.count - 1)
    }
}
