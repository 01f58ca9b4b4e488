import EmbeddingFiles
import Testing

@Suite struct NpyReaderTests {
    let folder = TemporaryFolder()

    @Test func readsAnArrayOfNumpyInBatchesAndBySkipping() throws {
        let path = folder.file("a.npy", PythonFixture.npy)
        for batch in 1...4 { #expect(try readAll(path, batch: batch) == PythonFixture.values) }
        var reader = try EmbeddingFile.open(path: path)
        #expect(reader.dimension == 4)
        #expect(reader.rowCount == 3)
        try reader.skip(toRow: 2)
        let batch = try #require(try reader.nextBatch(maximumRows: 10))
        #expect(batch == EmbeddingBatch(firstRow: 2, rowCount: 1, values: [8, 9, 10, 11]))
        #expect(try reader.nextBatch(maximumRows: 10) == nil)
        #expect(failure { try reader.skip(toRow: 4) } == .rowOutOfRange(path: path, row: 4, rowCount: 3))
    }

    @Test(arguments: [UInt8(1), 2, 3]) func readsEveryVersion(version: UInt8) throws {
        let bytes = npy(npyHeader("<f4", "(1, 2)"), floatBytes([1, -2]), version: version)
        #expect(try readAll(folder.file("a.npy", bytes)) == [1, -2])
    }

    @Test func oneAxisIsOneRow() throws {
        #expect(try readAll(folder.file("a.npy", npy(npyHeader("<f4", "(3,)"), floatBytes([1, 2, 3])))) == [1, 2, 3])
    }

    @Test func anArrayOfNoRowsHasNone() throws {
        let path = folder.file("a.npy", npy(npyHeader("<f4", "(0, 8)")))
        #expect(try EmbeddingFile.open(path: path).rowCount == 0)
        #expect(try readAll(path) == [])
    }

    @Test func halfPrecisionIsWidenedExactlyForEveryPattern() throws {
        let patterns = (0...UInt16.max).map { $0 }
        let bytes = npy(npyHeader("<f2", "(256, 256)"), patterns.flatMap { littleEndian($0) })
        let values = try readAll(folder.file("a.npy", bytes), batch: 100)
        #expect(values.count == 65_536)
        for (pattern, value) in zip(patterns, values) {
            // Sign, exponent and fraction taken apart by hand.
            let (exponent, fraction) = (Int(pattern >> 10 & 31), Float(pattern & 1023))
            let magnitude: Float =
                exponent == 31
                ? (fraction == 0 ? .infinity : .nan)
                : exponent == 0
                    ? fraction * 0x1p-24 : Float(sign: .plus, exponent: exponent - 25, significand: 1024 + fraction)
            let expected = pattern >> 15 == 1 ? -magnitude : magnitude
            #expect(value == expected || (value.isNaN && expected.isNaN))
        }
    }

    @Test func unacceptableArraysAreNamedForWhatTheyAre() {
        let path = "\(folder.path)/bad.npy"
        let cases: [([UInt8], EmbeddingFileError)] = [
            (
                npy(npyHeader("<f4", "(2, 3)", fortran: true), floatBytes([0, 0, 0, 0, 0, 0])),
                .fortranOrder(path: path)
            ),
            (npy(npyHeader(">f4", "(1, 1)"), [0, 0, 0, 0]), .bigEndian(path: path, type: ">f4")),
            (
                npy(npyHeader("<f8", "(1, 1)"), floatBytes([0, 0])),
                .unsupportedType(path: path, type: "<f8", supported: "float32 ('<f4') and float16 ('<f2')")
            ),
            (npy(npyHeader("<f4", "(1, 2, 2)"), floatBytes([0, 0, 0, 0])), .wrongRank(path: path, shape: [1, 2, 2])),
            (npy(npyHeader("<f4", "()"), floatBytes([0])), .wrongRank(path: path, shape: [])),
            (
                npy(npyHeader("<f4", "(3, 4)"), floatBytes([1, 2, 3, 4, 5])),
                .truncated(path: path, promisedRows: 3, presentBytes: 20, rowBytes: 16)
            ),
            (
                npy(npyHeader("<f4", "(1, 1)"), floatBytes([1, 2])),
                .trailingBytes(path: path, promisedRows: 1, extraBytes: 4)
            ),
            (
                npy(npyHeader("<f4", "(1000000000000000000, 512)")),
                .truncated(path: path, promisedRows: 1_000_000_000_000_000_000, presentBytes: 0, rowBytes: 2048)
            ),
            (
                npy(npyHeader("<f4", "(99999999999999999999, 512)")),
                .malformedHeader(path: path, reason: "the shape is beyond any file")
            ),
            (
                npy(npyHeader("<f4", "(1, 0)")),
                .dimensionOutOfRange(path: path, dimension: 0, limit: embeddingFileDimensionLimit)
            ),
            (
                npy(npyHeader("<f4", "(1000000,)")),
                .dimensionOutOfRange(path: path, dimension: 1_000_000, limit: embeddingFileDimensionLimit)
            ),
            (
                [0x93] + Array("NUMPY".utf8) + [2, 0] + littleEndian(UInt32(1 << 30)),
                .headerTooLong(path: path, byteCount: 1 << 30, limitBytes: 65_536)
            ),
            ([0x93] + Array("NUMPY".utf8) + [9, 1, 0, 0], .unsupportedNpyVersion(path: path, major: 9, minor: 1)),
            (Array("id,embedding\n1,0.5\n".utf8), .notNpy(path: path, looksLikeText: true)),
            ([0, 1, 2, 3, 4, 5, 6, 7, 8, 9], .notNpy(path: path, looksLikeText: false)),
            ([], .emptyFile(path: path)),
            (
                npy("{'descr': '<f4', 'shape': (1, 1)}\n", [0, 0, 0, 0]),
                .malformedHeader(path: path, reason: "key 'fortran_order' is missing")
            ),
            (
                npy("{'descr': [('a', '<f4')], 'fortran_order': False, 'shape': (1, 1)}\n", [0, 0, 0, 0]),
                .unsupportedType(path: path, type: "structured", supported: "float32 ('<f4') and float16 ('<f2')")
            ),
        ]
        for (bytes, expected) in cases {
            _ = folder.file("bad.npy", bytes)
            #expect(openFailure(path) == expected)
            #expect(expected.description.contains(path))
        }
    }

    @Test func theSentenceOfATruncatedFileNamesRowsAndBytes() {
        let path = folder.file("t.npy", npy(npyHeader("<f4", "(3, 4)"), floatBytes([1, 2, 3, 4, 5])))
        #expect(
            openFailure(path)?.description
                == "\(path) is truncated: 3 rows of 16 bytes promised, 20 bytes (1 whole rows) there; copy it again"
        )
    }

    @Test func missingFilesAndFoldersAreErrors() {
        #expect(openFailure("\(folder.path)/none.npy") == .cannotOpen(path: "\(folder.path)/none.npy", errno: 2))
        #expect(openFailure(folder.path) == .notARegularFile(path: folder.path))
    }

    @Test func noTruncationTraps() {
        for count in 0..<PythonFixture.npy.count {
            #expect(openFailure(folder.file("t.npy", Array(PythonFixture.npy[..<count]))) != nil)
        }
    }

    @Test func noChangedByteTraps() throws {
        for position in 0..<128 {
            for value: UInt8 in [0, 0x27, 0x28, 0x39, 0x7B, 0xFF] {
                var bytes = PythonFixture.npy
                bytes[position] = value
                let path = folder.file("t.npy", bytes)
                // Either it still is the array, or an error says why not.
                if let values = try? readAll(path) { #expect(values.count <= 12) }
            }
        }
    }

    @Test(arguments: NpyPrecision.allCases) func whatIsWrittenIsReadBack(precision: NpyPrecision) throws {
        let path = "\(folder.path)/w.npy"
        var writer = try NpyWriter(path: path, dimension: 3, precision: precision)
        let values: [Float] = [0, 1, -2, 0.5, 1024, -0.25]
        try writer.append(Array(values[..<3]))
        try writer.append(Array(values[3...]))
        try writer.finish()
        #expect(writer.rowCount == 2)
        #expect(try readAll(path) == values)
    }

    @Test func aFileThatWasNotFinishedPromisesNoRow() throws {
        let path = "\(folder.path)/w.npy"
        var writer: NpyWriter? = try NpyWriter(path: path, dimension: 64)
        for _ in 0..<2000 { try writer?.append([Float](repeating: 1, count: 64)) }
        writer = nil
        guard case .trailingBytes(_, promisedRows: 0, _) = openFailure(path) else {
            Issue.record("an unfinished file was read")
            return
        }
    }
}
