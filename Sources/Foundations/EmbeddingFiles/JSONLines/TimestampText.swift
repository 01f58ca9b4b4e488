/// Times as text (RFC 3339), to the millisecond. A year outside 0000 to 9999 has a sign and as many digits as it needs,
/// four at least, as in ISO 8601: so every time has a text that gives it back.
package enum TimestampText {
    /// Milliseconds since 1970-01-01T00:00:00Z, or `nil` if the text is not a time; a 60th second counts as the next
    /// minute.
    package static func milliseconds(rfc3339 text: String) -> Int64? {
        guard let (year, bytes) = leadingYear(of: Array(text.utf8)) else { return nil }
        guard bytes.count >= 16, bytes[0] == UInt8(ascii: "-"), bytes[3] == UInt8(ascii: "-"),
            bytes[6] | 0x20 == UInt8(ascii: "t"), bytes[9] == UInt8(ascii: ":"), bytes[12] == UInt8(ascii: ":"),
            let month = number(bytes[1..<3]), let day = number(bytes[4..<6]), let hour = number(bytes[7..<9]),
            let minute = number(bytes[10..<12]), let second = number(bytes[13..<15]),
            (1...12).contains(month), (1...daysInMonth(month, year: year)).contains(day), hour < 24, minute < 60,
            second <= 60
        else { return nil }
        var position = 15
        var fraction: Int64 = 0
        if bytes[position] == UInt8(ascii: ".") {
            let end = bytes[(position + 1)...].firstIndex { !(0x30...0x39).contains($0) } ?? bytes.count
            guard end > position + 1 else { return nil }
            for index in 0..<3 {
                let digit = position + 1 + index < end ? Int64(bytes[position + 1 + index] - 0x30) : 0
                fraction = fraction * 10 + digit
            }
            position = end
        }
        guard let offsetMinutes = zone(bytes[position...]) else { return nil }
        let minutes = (daysSince1970(year: year, month: month, day: day) * 24 + hour) * 60 + minute - offsetMinutes
        return Int64(exactly: Int128(minutes * 60 + second) * 1000 + Int128(fraction))
    }

    /// The year that a time begins with, and the rest.
    private static func leadingYear(of bytes: [UInt8]) -> (year: Int, rest: [UInt8])? {
        let isNegative = bytes.first == UInt8(ascii: "-")
        let hasSign = isNegative || bytes.first == UInt8(ascii: "+")
        let start = hasSign ? 1 : 0
        let end = hasSign ? bytes.dropFirst().firstIndex(of: UInt8(ascii: "-")) ?? bytes.count : 4
        guard end <= bytes.count, (4...9).contains(end - start), let year = number(bytes[start..<end]) else {
            return nil
        }
        return (isNegative ? -year : year, Array(bytes[end...]))
    }

    /// The time in UTC, with milliseconds only where there are any.
    package static func format(milliseconds: Int64) -> String {
        let (days, rest) = divide(milliseconds, by: 86_400_000)
        let (year, month, day) = date(daysSince1970: Int(days))
        let seconds = Int(rest / 1000)
        let fraction = Int(rest % 1000)
        let clock = [seconds / 3600, seconds / 60 % 60, seconds % 60].map { padded($0, 2) }.joined(separator: ":")
        let sign = year < 0 ? "-" : year > 9999 ? "+" : ""
        let dateText = "\(sign)\(padded(abs(year), 4))-\(padded(month, 2))-\(padded(day, 2))"
        return "\(dateText)T\(clock)" + (fraction == 0 ? "Z" : ".\(padded(fraction, 3))Z")
    }

    private static func number(_ digits: ArraySlice<UInt8>) -> Int? {
        digits.reduce(Optional(0)) { value, digit in
            (0x30...0x39).contains(digit) ? value.map { $0 * 10 + Int(digit - 0x30) } : nil
        }
    }

    /// Minutes east of UTC of `Z` or `±hh:mm`.
    private static func zone(_ bytes: ArraySlice<UInt8>) -> Int? {
        let zone = Array(bytes)
        if zone.count == 1, zone[0] | 0x20 == UInt8(ascii: "z") { return 0 }
        guard zone.count == 6, zone[3] == UInt8(ascii: ":"), let hour = number(zone[1..<3]),
            let minute = number(zone[4..<6]),
            hour < 24, minute < 60
        else { return nil }
        switch zone[0] {
        case UInt8(ascii: "+"): return hour * 60 + minute
        case UInt8(ascii: "-"): return -(hour * 60 + minute)
        default: return nil
        }
    }

    private static func daysInMonth(_ month: Int, year: Int) -> Int {
        if month == 2 { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) ? 29 : 28 }
        return [4, 6, 9, 11].contains(month) ? 30 : 31
    }

    /// Source: Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
    private static func daysSince1970(year: Int, month: Int, day: Int) -> Int {
        let shifted = month <= 2 ? year - 1 : year
        let era = (shifted >= 0 ? shifted : shifted - 399) / 400
        let yearOfEra = shifted - era * 400
        let dayOfYear = (153 * (month + (month > 2 ? -3 : 9)) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    /// Source: as above, civil_from_days.
    private static func date(daysSince1970 days: Int) -> (year: Int, month: Int, day: Int) {
        let shifted = days + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let monthIndex = (5 * dayOfYear + 2) / 153
        let month = monthIndex + (monthIndex < 10 ? 3 : -9)
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, dayOfYear - (153 * monthIndex + 2) / 5 + 1)
    }

    private static func divide(_ value: Int64, by divisor: Int64) -> (Int64, Int64) {
        let (quotient, remainder) = value.quotientAndRemainder(dividingBy: divisor)
        return remainder < 0 ? (quotient - 1, remainder + divisor) : (quotient, remainder)
    }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let digits = String(value)
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
