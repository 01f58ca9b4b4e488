import EmbeddingFiles
import Testing

@Suite struct NpzReaderTests {
    let folder = TemporaryFolder()

    @Test func readsWhatPythonStoresAndDeflates() throws {
        for bytes in [PythonFixture.stored, PythonFixture.deflated] {
            let path = folder.file("a.npz", bytes)
            for batch in 1...4 { #expect(try readAll(path, batch: batch) == PythonFixture.values) }
            var reader = try EmbeddingFile.open(path: path)
            try reader.skip(toRow: 1)
            #expect(try reader.nextBatch(maximumRows: 1)?.values == [4, 5, 6, 7])
        }
    }

    /// The whole `.npy` file that ``PythonFixture/dynamicDeflate`` stands for.
    var dynamicArray: (bytes: [UInt8], values: [Float]) {
        let values = (0..<40).flatMap { _ in (0..<512).map(Float.init) }
        let text = "{'descr': '<f4', 'fortran_order': False, 'shape': (40, 512), }"
        return (npy(text + String(repeating: " ", count: 117 - text.count) + "\n", floatBytes(values)), values)
    }

    @Test func inflatesDynamicCodesAcrossWindows() throws {
        let (bytes, values) = dynamicArray
        let entry = ZipEntry(
            data: PythonFixture.dynamicDeflate,
            method: 8,
            byteCount: UInt32(bytes.count),
            checksum: crc32(bytes)
        )
        let path = folder.file("a.npz", zip([entry]))
        for batch in [1, 7, 40] { #expect(try readAll(path, batch: batch) == values) }
        var reader = try EmbeddingFile.open(path: path)
        try reader.skip(toRow: 39)
        #expect(try reader.nextBatch(maximumRows: 5)?.values == Array(values.suffix(512)))
    }

    @Test func inflatesStoredBlocks() throws {
        let raw = PythonFixture.npy
        func block(_ part: ArraySlice<UInt8>, isLast: Bool) -> [UInt8] {
            let length = UInt16(part.count)
            return [isLast ? 1 : 0] + littleEndian(length) + littleEndian(~length) + Array(part)
        }
        let blocks = block(raw[..<100], isLast: false) + block([], isLast: false) + block(raw[100...], isLast: true)
        let entry = ZipEntry(data: blocks, method: 8, byteCount: UInt32(raw.count), checksum: crc32(raw))
        #expect(try readAll(folder.file("a.npz", zip([entry]))) == PythonFixture.values)
    }

    @Test func theMemberIsChosenByNameOrByBeingTheOnlyOneOrEmbeddings() throws {
        func entry(_ name: String, _ value: Float) -> ZipEntry {
            let data = npy(npyHeader("<f4", "(1, 1)"), floatBytes([value]))
            return ZipEntry(name: name, data: data, checksum: crc32(data))
        }
        let two = folder.file("two.npz", zip([entry("a.npy", 1), entry("b.npy", 2)]))
        #expect(try readAll(two, member: "b") == [2])
        #expect(try readAll(two, member: "a.npy") == [1])
        #expect(openFailure(two) == .ambiguousMember(path: two, available: ["a", "b"]))
        #expect(
            failure { _ = try readAll(two, member: "c") }
                == .memberMissing(path: two, member: "c", available: ["a", "b"])
        )
        #expect(try readAll(folder.file("e.npz", zip([entry("a.npy", 1), entry("embeddings.npy", 3)]))) == [3])
        let none = folder.file("none.npz", zip([]))
        #expect(openFailure(none) == .memberMissing(path: none, member: "embeddings", available: []))
    }

    @Test func damagedArchivesAreNamedForWhatTheyAre() {
        let data = PythonFixture.npy
        let path = "\(folder.path)/bad.npz"
        let inner = "\(path) (embeddings.npy)"
        func error(_ entry: ZipEntry) -> EmbeddingFileError? {
            failure { _ = try readAll(folder.file("bad.npz", zip([entry]))) }
        }
        #expect(
            error(ZipEntry(data: data, checksum: 7))
                == .checksumMismatch(path: inner, stored: 7, computed: crc32(data))
        )
        #expect(error(ZipEntry(data: data, flags: 1)) == .encryptedMember(path: inner))
        #expect(error(ZipEntry(data: data, method: 12)) == .unsupportedCompression(path: inner, method: 12))
        #expect(
            error(ZipEntry(data: [3, 0], method: 8, byteCount: 1 << 30))
                == .malformedArchive(path: inner, reason: "it promises more than deflate can hold")
        )
        #expect(
            error(ZipEntry(data: [7], method: 8, byteCount: 100))
                == .corruptDeflate(path: inner, reason: "block type 3 does not exist")
        )
        #expect(
            error(ZipEntry(data: [3, 0], method: 8, byteCount: 100))
                == .corruptDeflate(path: inner, reason: "it ends 100 bytes early")
        )
        #expect(
            openFailure(folder.file("bad.npz", "hello, world, this is not an archive"))?.description.isEmpty == false
        )
    }

    @Test func noTruncationTraps() {
        for whole in [PythonFixture.stored, PythonFixture.deflated] {
            for count in 0..<whole.count {
                let path = folder.file("t.npz", Array(whole[..<count]))
                #expect(failure { _ = try readAll(path) } != nil)
            }
        }
    }

    @Test func noChangedByteTrapsOrGivesOtherNumbersUnnoticed() throws {
        for whole in [PythonFixture.stored, PythonFixture.deflated] {
            for position in 0..<whole.count {
                for mask: UInt8 in [0x01, 0x80, 0xFF] {
                    var bytes = whole
                    bytes[position] ^= mask
                    let path = folder.file("t.npz", bytes)
                    if let values = try? readAll(path, member: nil) { #expect(values == PythonFixture.values) }
                }
            }
        }
    }

    @Test func damagedDeflateStreamsNeverTrap() throws {
        let seed = UInt64.random(in: .min ... .max)
        var state = seed
        let (bytes, values) = dynamicArray
        for _ in 0..<400 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            var data = PythonFixture.dynamicDeflate
            data[Int(state >> 33) % data.count] ^= UInt8(truncatingIfNeeded: state >> 20) | 1
            let entry = ZipEntry(data: data, method: 8, byteCount: UInt32(bytes.count), checksum: crc32(bytes))
            let path = folder.file("t.npz", zip([entry]))
            // Spare bits after the last block, and copies of equal content, may change without harm.
            if let read = try? readAll(path, batch: 64) { #expect(read == values, "seed \(seed)") }
        }
    }
}
