import EmbeddingFiles
import Foundation
import Testing

func bytes(of path: String) throws -> [UInt8] { Array(try Data(contentsOf: URL(fileURLWithPath: path))) }

@Suite struct LabelReaderTests {
    let folder = TemporaryFolder()

    func labels(_ path: String, step: Int = 2) throws -> [String?] {
        var reader = try LabelReader(path: path)
        var labels: [String?] = []
        while labels.count < reader.rowCount {
            labels += try reader.next(min(step, reader.rowCount - labels.count))
        }
        return labels
    }

    @Test func textHasOneLabelPerLine() throws {
        for (text, expected) in [
            ("a\nb\n", ["a", "b"]), ("a\r\nb", ["a", "b"]), ("\n\nb\n\n", [nil, nil, "b", nil]), ("", []),
            ("é\n", ["é"]), ("\u{FEFF}a\nb\n", ["a", "b"]), ("\u{FEFF}\na", [nil, "a"]), ("\u{FEFF}", []),
        ] as [(String, [String?])] {
            #expect(try labels(folder.file("l.txt", text)) == expected)
        }
    }

    @Test func skippingKeepsStep() throws {
        let text = folder.file("l.txt", "a\nb\nc\nd\n")
        let array = folder.file("l.npy", npy(npyHeader("<i8", "(4,)"), (0..<4).flatMap { littleEndian(Int64($0)) }))
        for (path, expected) in [(text, "c"), (array, "2")] {
            var reader = try LabelReader(path: path)
            try reader.skip(toRow: 2)
            #expect(try reader.next(1) == [expected])
            #expect(failure { try reader.skip(toRow: 5) } == .rowOutOfRange(path: path, row: 5, rowCount: 4))
        }
    }

    @Test func arraysOfEveryTypeBecomeText() throws {
        let emoji = littleEndian(UInt32(0x1F600)) + littleEndian(UInt32(0x61)) + littleEndian(UInt64(0))
        let words = littleEndian(UInt64(0x0123_4567_89AB_CDEF)) + littleEndian(UInt64(0xFEDC_BA98_7654_3210))
        let cases: [([UInt8], [String?])] = [
            (npy(npyHeader("<i4", "(2,)"), littleEndian(Int32.min) + littleEndian(Int32(7))), ["-2147483648", "7"]),
            (npy(npyHeader("<i8", "(1,)"), littleEndian(Int64.min)), ["-9223372036854775808"]),
            (npy(npyHeader("<u4", "(1,)"), littleEndian(UInt32.max)), ["4294967295"]),
            (npy(npyHeader("<u8", "(1,)"), littleEndian(UInt64.max)), ["18446744073709551615"]),
            (npy(npyHeader("<u8", "(1, 2)"), words), ["01234567-89ab-cdef-fedc-ba9876543210"]),
            (npy(npyHeader("|S3", "(3,)"), Array("abcd\0\0\0\0\0".utf8)), ["abc", "d", nil]),
            (npy(npyHeader("<U2", "(2,)"), emoji), ["😀a", nil]),
        ]
        for (bytes, expected) in cases {
            #expect(try labels(folder.file("l.npy", bytes)) == expected)
        }
    }

    @Test func aCountThatDiffersIsAnErrorNamingBoth() throws {
        let path = folder.file("l.txt", "a\nb\nc")
        let error = failure { _ = try LabelReader(path: path, expectedRowCount: 5) }
        #expect(error == .labelCountMismatch(path: path, labels: 3, rows: 5))
        #expect(error?.description == "\(path) has 3 labels for 5 embeddings; there must be one for each row")
        var reader = try LabelReader(path: path, expectedRowCount: 3)
        _ = try reader.next(2)
        #expect(failure { _ = try reader.next(2) } == .labelCountMismatch(path: path, labels: 3, rows: 4))
    }

    @Test func aFileThatBecomesShorterIsNoWholeOne() throws {
        let path = folder.file("l.txt", String(repeating: "label\n", count: 100_000))
        var reader = try LabelReader(path: path, expectedRowCount: 100_000)
        let first = try reader.next(10)
        #expect(first.count == 10)
        try truncate(path, to: 300_000)
        #expect(failure { _ = try reader.next(99_990) } == .shortened(path: path))
    }

    @Test func unacceptableLabelsAreNamedForWhatTheyAre() {
        func error(_ name: String, _ bytes: [UInt8]) -> EmbeddingFileError? {
            failure { _ = try labels(folder.file(name, bytes)) }
        }
        let array = "\(folder.path)/l.npy"
        let text = "\(folder.path)/l.txt"
        #expect(error("l.txt", [0x61, 0x0A, 0xFF, 0xFE, 0x0A]) == .labelNotText(path: text, row: 1))
        #expect(
            error("l.txt", [UInt8](repeating: 0x61, count: 1025))
                == .labelTooLong(path: text, row: 0, limitBytes: LabelReader.labelLimitBytes)
        )
        #expect(
            error("l.npy", npy(npyHeader(">i8", "(1,)"), [UInt8](repeating: 0, count: 8)))
                == .bigEndian(path: array, type: ">i8")
        )
        #expect(
            error("l.npy", npy(npyHeader("<i8", "(1, 1)"), [UInt8](repeating: 0, count: 8)))
                == .wrongLabelRank(path: array, shape: [1, 1])
        )
        #expect(
            error("l.npy", npy(npyHeader("<i8", "(2,)"), [UInt8](repeating: 0, count: 8)))
                == .truncated(path: array, promisedRows: 2, presentBytes: 8, rowBytes: 8)
        )
        #expect(
            error("l.npy", npy(npyHeader("<U1", "(1,)"), littleEndian(UInt32.max)))
                == .labelNotText(path: array, row: 0)
        )
        #expect(error("l.npy", npy(npyHeader("|S999999999999", "(1,)"))) != nil)
        #expect(error("l.npy", Array("a\nb\n".utf8)) == .notNpy(path: array, looksLikeText: true))
    }
}
