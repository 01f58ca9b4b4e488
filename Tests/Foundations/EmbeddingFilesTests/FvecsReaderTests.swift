import EmbeddingFiles
import Testing

@Suite struct FvecsReaderTests {
    let folder = TemporaryFolder()

    func row(_ values: [Float], dimension: Int32? = nil) -> [UInt8] {
        littleEndian(dimension ?? Int32(values.count)) + floatBytes(values)
    }

    @Test func whatIsWrittenIsReadBackInBatchesAndBySkipping() throws {
        let path = "\(folder.path)/w.fvecs"
        var writer = try FvecsWriter(path: path, dimension: 2)
        try writer.append([1, 2, 3, 4])
        try writer.append([5, 6])
        try writer.finish()
        for batch in 1...4 { #expect(try readAll(path, batch: batch) == [1, 2, 3, 4, 5, 6]) }
        var reader = try EmbeddingFile.open(path: path)
        #expect(reader.rowCount == 3)
        #expect(reader.dimension == 2)
        try reader.skip(toRow: 2)
        #expect(try reader.nextBatch(maximumRows: 9) == EmbeddingBatch(firstRow: 2, rowCount: 1, values: [5, 6]))
        try reader.skip(toRow: 3)
        #expect(try reader.nextBatch(maximumRows: 9) == nil)
    }

    @Test func everyByteIsAsTheFormatSays() throws {
        #expect(try readAll(folder.file("a.fvecs", row([1, 2]) + row([3, 4]))) == [1, 2, 3, 4])
    }

    @Test func aRowOfAnotherDimensionIsNamed() {
        let path = folder.file("a.fvecs", row([1, 2]) + row([3, 4], dimension: 3))
        let expected = EmbeddingFileError.rowDimensionChanged(path: path, row: 1, dimension: 3, expected: 2)
        #expect(failure { _ = try readAll(path) } == expected)
    }

    @Test func impossibleDimensionsAndTruncationsAreErrors() {
        for dimension: Int32 in [0, -1, .max, 65_537] {
            let path = folder.file("a.fvecs", row([1, 2], dimension: dimension))
            #expect(
                openFailure(path)
                    == .dimensionOutOfRange(
                        path: path,
                        dimension: Int(dimension),
                        limit: embeddingFileDimensionLimit
                    )
            )
        }
        let whole = row([1, 2]) + row([3, 4])
        for count in 0..<whole.count where count != 12 {
            #expect(openFailure(folder.file("t.fvecs", Array(whole[..<count]))) != nil)
        }
    }
}
