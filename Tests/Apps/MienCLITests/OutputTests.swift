import Testing
import mien

@Suite struct OutputTests {
    @Test func tablesAlignAndCut() {
        var table = TextTable([.init("name", widthLimit: 6), .init("count", .right)])
        table.append(["short", "1"])
        table.append(["much too long", "12345678"])
        table.append(["bell\u{7}", "0"])
        #expect(
            table.rendered() == """
                name       count
                short          1
                much …  12345678
                bell           0

                """
        )
    }

    @Test func whatOthersSaySteersNoTerminal() async throws {
        #expect("a\u{1B}[2Jb\u{7}\r\u{9B}c\u{0}é\nd".shown() == "a [2Jb   c é\nd")
        try await ToyCluster.run { cluster, address in
            cluster.change { $0.storeProblem = "it is full\u{1B}]0;pwned\u{7}\r" }
            let status = await mienCommand(["status", "--coordinator", address])
            #expect(status.error == "mien: it is full ]0;pwned  \n")
            let top = await mienCommand(["top", "--once", "--interval", "0.05", "--coordinator", address])
            #expect(top.output.contains("! it is full ]0;pwned  \n"), "\(top)")
        }
        let parsed = await mienCommand(["status", "--workers", "\u{1B}[2J"])
        #expect(parsed.status == 64 && parsed.error.contains("[2J") && !parsed.error.contains("\u{1B}"), "\(parsed)")
    }

    @Test func largeNumbersAreByThousands() {
        let texts = [0, 950, 1000, 12_345, 3.44e6, 9.99e8, 2e9].map(NumberText.thousands)
        #expect(texts == ["0", "950", "1 k", "12 k", "3.4 M", "999 M", "2 G"])
    }

    @Test func jsonKeepsItsOrderAndEscapes() {
        let value = JSONValue.object([
            ("b", .string("a \"quote\"\n")), ("a", .array([.integer(1), .number(0.5), .null, .flag(true)])),
            ("empty", .array([])), ("nan", .number(.nan)),
        ])
        #expect(value.line == #"{"b":"a \"quote\"\n","a":[1,0.5,null,true],"empty":[],"nan":null}"#)
        #expect(
            value.document == """
                {
                  "b": "a \\"quote\\"\\n",
                  "a": [
                    1,
                    0.5,
                    null,
                    true
                  ],
                  "empty": [],
                  "nan": null
                }

                """
        )
    }

    @Test(arguments: [
        (0.0, 2, "0.00"), (-0.001, 2, "0.00"), (1.005, 1, "1.0"), (-1.25, 1, "-1.3"), (99.96, 1, "100.0"),
        (1234.5, 0, "1235"), (0.05, 4, "0.0500"), (.infinity, 1, "inf"),
    ])
    func numbersHaveFixedDecimals(value: Double, decimals: Int, text: String) {
        #expect(NumberText.fixed(value, decimals) == text)
    }

    @Test(arguments: [
        (UInt64(0), "0 B"), (1023, "1023 B"), (1536, "1.5 KiB"), (64 << 20, "64 MiB"), (UInt64.max, "16384 PiB"),
    ])
    func bytesHaveAUnit(count: UInt64, text: String) {
        #expect(NumberText.bytes(count) == text)
    }

    @Test(arguments: [
        (Duration.microseconds(1500), "1.5 ms"), (.seconds(59), "59.0 s"), (.seconds(200), "3 min 20 s"),
        (.seconds(3720), "1 h 2 min"), (.seconds(864_000), "10 days"),
    ])
    func durationsReadAsPeopleSayThem(duration: Duration, text: String) {
        #expect(NumberText.duration(duration) == text)
    }

    @Test func aTerminalGetsABarAndOtherPlacesPlainLines() {
        let bar = ProgressText.text(noun: "rows", done: 50, total: 100, elapsed: .seconds(2), barWidth: 8)
        #expect(bar == "[####----]  50.0 %  50 of 100 rows  25 rows/s  2.0 s left")
        let stale = ProgressText.text(noun: "rows", done: 9, total: 8, elapsed: .seconds(1), barWidth: 8)
        #expect(stale == "9 rows  9 rows/s")
        let plain = ProgressText.text(noun: "rows", done: 100, total: 100, elapsed: .seconds(2), barWidth: 0)
        #expect(plain == "100.0 %  100 of 100 rows  50 rows/s")
        #expect(
            ProgressText.text(noun: "rows", done: 7, total: nil, elapsed: .seconds(1), barWidth: 8)
                == "7 rows  7 rows/s"
        )
    }
}
