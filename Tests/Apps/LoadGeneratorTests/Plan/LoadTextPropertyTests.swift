import LoadGenerator
import Testing

/// Times and rates of a load: what is written is what is read, and nothing else is read.
@Suite struct LoadTextPropertyTests {
    @Test(arguments: [("ms", 0.001), ("s", 1), ("m", 60), ("h", 3600)] as [(String, Double)])
    func aTimeIsItsNumberOfUnits(unit: String, seconds: Double) throws {
        for count in [0, 1, 2, 7, 59, 60, 99, 100, 123, 999, 1000, 1001, 65_536, 86_399, 999_999_998] {
            let plain = try LoadText.duration("\(count)\(unit)")
            #expect(try LoadText.duration("00\(count).000\(unit)") == plain)
            for thousandths in [0, 1, 10, 125, 500, 999] {
                let text = "\(count).\("\(1000 + thousandths)".dropFirst())\(unit)"
                let wanted = (Double(count) + Double(thousandths) / 1000) * seconds
                let read = try LoadText.duration(text) / .seconds(1)
                #expect(abs(read - wanted) <= wanted * 1e-9, "\(text) is \(read) s")
            }
        }
    }

    @Test func whateverIsWrittenIsATimeOrRefused() {
        let pieces = [
            "", "-", "+", "0", "1", "9999999999", ".", ",", "e5", "x1", "nan", "inf", " ", "½", "٣", "ms", "s", "m",
            "h", "d", "%", "\n", "🙂",
        ]
        var (readCount, refusedCount) = (0, 0)
        for first in pieces {
            for second in pieces {
                for third in pieces {
                    guard let time = try? LoadText.duration(first + second + third) else {
                        refusedCount += 1
                        continue
                    }
                    readCount += 1
                    #expect(time >= .zero && time < .seconds(3600 * 1_000_000_000), "\(first)\(second)\(third)")
                }
            }
        }
        #expect(readCount > 20 && refusedCount > 1000, "\(readCount) read, \(refusedCount) refused")
    }

    @Test func aRateIsTheNumberThatIsWritten() throws {
        for rate in [Double.leastNonzeroMagnitude, 1e-9, 0.001, 0.5, 1, 3.25, 70, 1234.5678, 999_999.5, 1_000_000] {
            #expect(try LoadText.rate("\(rate)") == rate)
        }
        let noRates = [
            "", " ", "0", "-0", "-1", "nan", "inf", "1000000.1", "1e7", "1e400", "1e-400", " 5", "5s", "5/s", "٣",
        ]
        for text in noRates {
            #expect(throws: LoadTextError.self, "\(text)") { try LoadText.rate(text) }
        }
    }
}
