import EmbeddingFiles
import FaceModel
import Testing

@Suite struct JSONLinesReaderTests {
    let folder = TemporaryFolder()
    let id = FaceID(high: 0x0123_4567_89AB_8DEF, low: 0x8123_4567_89AB_CDEF)

    var fullLine: FaceLine {
        var metadata = FaceLineMetadata(id: id, model: "arc/1")
        metadata.face = FaceMetadata(
            personID: "Zoë \"Z\"\n\u{1}",
            externalImageID: "a\\b",
            imageID: "i",
            boundingBox: BoundingBox(left: 0.1, top: 0.2, width: 0.3, height: 0.4),
            quality: 0.75,
            confidence: 99.5,
            created: Timestamp(milliseconds: 1_769_860_800_123),
            expires: Timestamp(milliseconds: -86_400_000),
            attributes: ["k": "v", "é": ""]
        )
        return FaceLine(embedding: [0.1, -1e-20, 3.4e38, 1 / 3], metadata: metadata)
    }

    @Test func whatIsWrittenIsReadBackToTheBit() throws {
        let path = "\(folder.path)/w.jsonl"
        var writer = try JSONLinesWriter(path: path)
        try writer.append(fullLine)
        try writer.append(FaceLine(embedding: [1, 2, 3, 4]))
        try writer.finish()
        var reader = try EmbeddingFile.open(path: path)
        #expect(reader.dimension == 4)
        #expect(reader.rowCount == nil)
        let batch = try #require(try reader.nextBatch(maximumRows: 10))
        #expect(batch.values == fullLine.embedding + [1, 2, 3, 4])
        #expect(batch.metadata == [fullLine.metadata, FaceLineMetadata()])
        #expect(batch.problems.isEmpty)
        #expect(try reader.nextBatch(maximumRows: 10) == nil)
    }

    @Test func aBadLineIsAProblemOfItsRowAndTheRestGoesOn() throws {
        let lines = [
            #"{"embedding":[1,2]}"#, "", #"{"embedding":[1,2,3]}"#, #"{"embedding":[1,2],"colour":"red"}"#, "not json",
            #"{"embedding":[1,2"#, #"{"id":"x","embedding":[1,2]}"#, #"{"person":"p"}"#,
            #"{"embedding":[01,2]}"#, #"{"embedding":[1,2],"embedding":[1,2]}"#, #"{"embedding":[NaN,2]}"#,
            #"{"embedding":[1,2]} x"#, #"{"embedding":[1,2],"person":"\ud800"}"#, #"{"embedding":[3,4]}"#,
        ]
        let path = folder.file("a.jsonl", lines.joined(separator: "\r\n"))
        var reader = try EmbeddingFile.open(path: path)
        var rows = 0
        var problems: [RowProblem] = []
        var last: [Float] = []
        while let batch = try reader.nextBatch(maximumRows: 3) {
            #expect(batch.firstRow == rows)
            #expect(batch.values.count == 2 * batch.rowCount)
            #expect(batch.metadata?.count == batch.rowCount)
            rows += batch.rowCount
            problems += batch.problems
            last = Array(batch.values.suffix(2))
        }
        #expect(rows == 13)
        #expect(last == [3, 4])
        #expect(problems.map(\.row) == Array(1...11))
        #expect(
            problems.map(\.reason) == [
                "line 3: dimension is 3 where 2 was expected", "line 4: key \"colour\" is unknown",
                "line 5: needs an object at byte 0", "line 6: \"embedding\" ends where ',' or ']' was expected",
                "line 7: \"id\" is neither a UUID nor a whole number", "line 8: \"embedding\" is missing or empty",
                "line 9: \"embedding\" has a number with a leading zero", "line 10: key \"embedding\" appears twice",
                "line 11: \"embedding\" needs a number at byte 14", "line 12: text follows the object at byte 20",
                "line 13: \"person\" has half a surrogate pair",
            ]
        )
    }

    @Test func idsAreUUIDsOrWholeNumbersAsInLabelFiles() throws {
        let ids = [
            "7", #""7""#, "18446744073709551615", #""\#(id)""#, "9007199254740993", "7.0", "-7", "1e3", "07", #""""#,
            "18446744073709551616", "true",
        ]
        let path = folder.file("a.jsonl", ids.map { "{\"id\":\($0),\"embedding\":[1]}\n" }.joined())
        var reader = try EmbeddingFile.open(path: path)
        let batch = try #require(try reader.nextBatch(maximumRows: 20))
        let numbers: [UInt64] = [7, 7, .max]
        #expect(
            batch.metadata?.prefix(5).map(\.id)
                == numbers.map { FaceID(high: 0, low: $0) } + [id, FaceID(high: 0, low: 9_007_199_254_740_993)]
        )
        #expect(batch.problems.map(\.row) == Array(5...11))
        #expect(batch.problems[0].reason == "line 6: \"id\" is neither a UUID nor a whole number")
    }

    @Test func whereADimensionIsWantedBadRowsAreProblemsThoughNoneIsGood() throws {
        let path = folder.file("a.jsonl", "{}\n\nnot json\n")
        var reader = try EmbeddingFile.open(path: path, wantedDimension: 2)
        let batch = try #require(try reader.nextBatch(maximumRows: 10))
        #expect(batch.values == [0, 0, 0, 0])
        #expect(batch.problems.map(\.row) == [0, 1])
    }

    /// A bad first line must not decide about the others.
    @Test func theWantedDimensionIsTakenWhereALineHasIt() throws {
        let lines = [#"{"embedding":[1,2,3]}"#, "not json", #"{"embedding":[1,2]}"#, #"{"embedding":[3,4]}"#]
        let path = folder.file("a.jsonl", lines.joined(separator: "\n"))
        #expect(try EmbeddingFile.open(path: path).dimension == 3)
        #expect(try EmbeddingFile.open(path: path, wantedDimension: 5).dimension == 3)
        var reader = try EmbeddingFile.open(path: path, wantedDimension: 2)
        let batch = try #require(try reader.nextBatch(maximumRows: 10))
        #expect(batch.rowCount == 4 && batch.values.suffix(4) == [1, 2, 3, 4])
        #expect(batch.problems.map(\.row) == [0, 1])
        #expect(batch.problems.first?.reason == "line 1: dimension is 3 where 2 was expected")
    }

    @Test func escapesTimesAndNullsAreUnderstood() throws {
        let line =
            #"{"embedding":[1e0,-2.5E+1],"person":"\u00e9\ud83d\ude00\/\t","model":null,"created":1.5,"#
            + #""expires":"2024-02-29T23:59:60.25+01:30"}"#
        var reader = try EmbeddingFile.open(path: folder.file("a.jsonl", line))
        let batch = try #require(try reader.nextBatch(maximumRows: 1))
        let metadata = try #require(batch.metadata?.first)
        #expect(batch.problems.isEmpty)
        #expect(batch.values == [1, -25])
        #expect(metadata.face.personID == "é😀/\t")
        #expect(metadata.model == nil)
        #expect(metadata.face.created?.milliseconds == 1500)
        // datetime(2024, 3, 1, 0, 0, 0, 250000, timezone(timedelta(minutes=90))).timestamp() of Python, in
        // milliseconds.
        #expect(metadata.face.expires?.milliseconds == 1_709_245_800_250)
    }

    @Test func timesOfEveryYearComeBack() throws {
        let times: [Int64] = [
            .min, -62_167_219_200_001, -62_167_219_200_000, -1, 0, 253_402_300_799_999, 253_402_300_800_000,
            1_769_860_800_000_000, .max,
        ]
        let path = "\(folder.path)/w.jsonl"
        var writer = try JSONLinesWriter(path: path)
        for time in times {
            let face = FaceMetadata(
                created: Timestamp(milliseconds: time),
                expires: Timestamp(milliseconds: -1 - time)
            )
            try writer.append(FaceLine(embedding: [1], metadata: FaceLineMetadata(face: face)))
        }
        try writer.finish()
        var reader = try EmbeddingFile.open(path: path)
        let batch = try #require(try reader.nextBatch(maximumRows: 20))
        #expect(batch.problems.isEmpty)
        #expect(batch.metadata?.compactMap { $0.face.created?.milliseconds } == times)
        #expect(batch.metadata?.compactMap { $0.face.expires?.milliseconds } == times.map { -1 - $0 })
    }

    /// As Java's `Instant` writes them.
    @Test func aYearBeyondFourDigitsHasASign() {
        for (text, time) in [
            ("+10000-01-01T00:00:00Z", 253_402_300_800_000), ("+58054-03-31T12:00:00Z", 1_769_847_883_200_000),
            ("+292278994-08-17T07:12:55.807Z", Int64.max), ("+292278994-08-17T07:12:55.808Z", nil),
            ("-292275055-05-16T16:47:04.192Z", Int64.min), ("-292275055-05-16T16:47:04.191Z", nil),
            ("-0001-12-31T23:59:59.999Z", -62_167_219_200_001), ("0000-01-01T00:00:00Z", -62_167_219_200_000),
            ("10000-01-01T00:00:00Z", nil), ("+999-01-01T00:00:00Z", nil), ("+2026", nil), ("-", nil), ("", nil),
            ("+9999999999-01-01T00:00:00Z", nil), ("2026-13-01T00:00:00Z", nil),
        ] as [(String, Int64?)] {
            #expect(TimestampText.milliseconds(rfc3339: text) == time, "\(text)")
        }
    }

    @Test func millisecondsInThePlaceOfSecondsAreAFaultOfTheLine() throws {
        let path = folder.file(
            "a.jsonl",
            ["253402300799", "-62167219200", "253402300800", "-62167219201", "1769860800000", "1e400"]
                .map { "{\"embedding\":[1],\"created\":\($0)}\n" }.joined()
        )
        var reader = try EmbeddingFile.open(path: path)
        let batch = try #require(try reader.nextBatch(maximumRows: 10))
        #expect(batch.metadata?[0].face.created?.milliseconds == 253_402_300_799_000)
        #expect(batch.metadata?[1].face.created?.milliseconds == -62_167_219_200_000)
        #expect(batch.problems.map(\.row) == [2, 3, 4, 5])
        let reason = "is outside the years 0 to 9999: a number is seconds since 1970, not milliseconds"
        #expect(batch.problems.last?.reason == "line 6: \"created\" \(reason)")
    }

    @Test func aByteOrderMarkIsNoPartOfTheFirstLine() throws {
        for name in ["a.jsonl", "a"] {
            let path = folder.file(name, "\u{FEFF}{\"embedding\":[1,2]}\n{\"embedding\":[3,4]}\n")
            var reader = try EmbeddingFile.open(path: path, countsRows: true)
            #expect(reader.rowCount == 2)
            let batch = try #require(try reader.nextBatch(maximumRows: 5))
            #expect(batch.problems.isEmpty && batch.values == [1, 2, 3, 4], "\(batch)")
        }
        let bare = folder.file("bare.jsonl", "\u{FEFF}")
        #expect(openFailure(bare) == .noRows(path: bare))
    }

    @Test func rowsAreCountedAsTheyAreRead() throws {
        let path = folder.file("a.jsonl", "\n{\"embedding\":[1]}\n \nnot json\n\n{\"embedding\":[2]}")
        #expect(try EmbeddingFile.open(path: path).rowCount == nil)
        var reader = try EmbeddingFile.open(path: path, countsRows: true)
        #expect(reader.rowCount == 3)
        let batch = try #require(try reader.nextBatch(maximumRows: 10))
        #expect(batch.rowCount == 3)
    }

    @Test func aFileThatBecomesShorterIsNoWholeOne() throws {
        let line = #"{"embedding":[1,2]}"# + "\n"
        let path = folder.file("a.jsonl", String(repeating: line, count: 20_000))
        var reader = try EmbeddingFile.open(path: path)
        let first = try reader.nextBatch(maximumRows: 10)
        #expect(first?.rowCount == 10)
        // Behind a whole line: nothing in what is left tells of it.
        try truncate(path, to: UInt64(10_000 * line.utf8.count))
        let error = failure {
            while let batch = try reader.nextBatch(maximumRows: 1000) { #expect(batch.problems.isEmpty) }
        }
        #expect(error == .shortened(path: path))
    }

    @Test func keysThatUnicodeHoldsEqualAreOne() throws {
        let line = "{\"embedding\":[1],\"attributes\":{\"\u{E9}\":\"1\",\"e\u{301}\":\"2\"}}"
        var reader = try EmbeddingFile.open(path: folder.file("a.jsonl", line), wantedDimension: 1)
        let batch = try #require(try reader.nextBatch(maximumRows: 1))
        #expect(
            batch.problems.first?.reason
                == "line 1: \"attributes\" has a key twice (a letter is the same however it is composed)"
        )
    }

    @Test func numbersAreRoundedCorrectlyWhereverTheyLie() throws {
        let texts = [
            "0.1", "1e-45", "3.4028235e38", "123456789.123456789", "5e-324", "0.30000000000000004",
            "1.00000005960464477539062", "99999999999999999999999999", "1e22", "1e23", "0.000001", "-0.0",
        ]
        let path = folder.file("a.jsonl", #"{"embedding":[\#(texts.joined(separator: ", "))]}"#)
        #expect(try readAll(path) == texts.map { Float(Double($0)!) })
    }

    @Test func aLineBeyondTheLimitIsAProblem() throws {
        let long = #"{"embedding":[1],"person":""# + String(repeating: "x", count: 1 << 20) + #""}"#
        let path = folder.file("a.jsonl", #"{"embedding":[1]}"# + "\n\(long)\n" + #"{"embedding":[2]}"#)
        var reader = try EmbeddingFile.open(path: path)
        let batch = try #require(try reader.nextBatch(maximumRows: 5))
        #expect(batch.values == [1, 0, 2])
        #expect(batch.problems == [RowProblem(row: 1, reason: "line 2: longer than 1048576 bytes")])
    }

    @Test func skippingReadsPastRows() throws {
        let path = folder.file("a.jsonl", (0..<5).map { "{\"embedding\":[\($0)]}\n\n" }.joined())
        var reader = try EmbeddingFile.open(path: path)
        try reader.skip(toRow: 3)
        #expect(try reader.nextBatch(maximumRows: 1)?.values == [3])
        #expect(failure { try reader.skip(toRow: 9) } == .rowOutOfRange(path: path, row: 9, rowCount: 5))
    }

    @Test func aFileWithoutAnyEmbeddingSaysWhy() {
        let path = folder.file("a.jsonl", "{}\n{}\n")
        #expect(
            openFailure(path)
                == .noEmbedding(path: path, rowsTried: 2, firstReason: "\"embedding\" is missing or empty")
        )
        let blank = folder.file("blank.jsonl", " \n\n")
        #expect(openFailure(blank) == .noRows(path: blank))
        let text = folder.file("a.txt", "hello\n")
        #expect(openFailure(text) == .unknownFormat(path: text))
    }

    @Test func noTruncationOrChangedByteTraps() throws {
        let path = "\(folder.path)/w.jsonl"
        var writer = try JSONLinesWriter(path: path)
        try writer.append(fullLine)
        try writer.finish()
        let good = #"{"embedding":[1,2,3,4]}"# + "\n"
        let line = try bytes(of: path).dropLast()
        for count in 1..<line.count {
            var reader = try EmbeddingFile.open(path: folder.file("t.jsonl", Array(good.utf8) + line[..<count]))
            #expect(try reader.nextBatch(maximumRows: 5)?.problems.map(\.row) == [1])
        }
        for position in line.indices {
            for value: UInt8 in [0, 0x22, 0x5C, 0x65, 0x7D, 0xFF] {
                var changed = Array(line)
                changed[position] = value
                var reader = try EmbeddingFile.open(path: folder.file("t.jsonl", Array(good.utf8) + changed))
                #expect(try reader.nextBatch(maximumRows: 5)?.values.prefix(4) == [1, 2, 3, 4])
            }
        }
    }
}
