import Testing
import mien

/// Rates and ages of backups: every number of units is what it says, and everything else is refused.
@Suite struct BackupArgumentTests {
    private static let noNumbers = [
        "", " ", "-1", "-0.5", "1.5", "1e3", "1_000", "0x10", "nan", "inf", "٣", "½", " 7", "7 ", "9223372036854775808",
        "18446744073709551616",
    ]

    @Test(arguments: [("KiB", 1 << 10), ("MiB", 1 << 20), ("GiB", 1 << 30)])
    func aRateIsItsNumberOfUnits(unit: String, byteCount: Int) throws {
        let most = Int.max / byteCount
        for count in [1, 2, 7, 64, 1023, 1 << 20, most - 1, most] {
            #expect(try BackupArgument.rate("\(count)\(unit)") == count * byteCount)
        }
        for number in Self.noNumbers + ["0", "\(most + 1)", "\(Int.max)"] {
            #expect(throws: (any Error).self, "\(number)\(unit)") { try BackupArgument.rate(number + unit) }
        }
    }

    @Test(arguments: [("d", 86_400), ("h", 3600), ("m", 60)])
    func anAgeIsItsNumberOfUnits(unit: String, seconds: Int) throws {
        for count in [0, 1, 2, 30, 999_999, 1_000_000] {
            #expect(try BackupArgument.age("\(count)\(unit)") == count * seconds)
        }
        for number in Self.noNumbers + ["1000001", "\(Int.max)"] {
            #expect(throws: (any Error).self, "\(number)\(unit)") { try BackupArgument.age(number + unit) }
        }
    }

    @Test(arguments: ["", "7", "MiB", "d", "7s", "7MB", "7mib", "7 GiB", "7D", "7KiBKiB", "7TiB"])
    func anotherUnitIsRefused(text: String) {
        #expect(throws: (any Error).self) { try BackupArgument.rate(text) }
        #expect(throws: (any Error).self) { try BackupArgument.age(text) }
    }
}
