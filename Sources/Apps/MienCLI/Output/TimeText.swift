import FaceModel
import Glibc
import MienClient

/// Times as RFC 3339 text in UTC, with milliseconds only where there are any.
enum TimeText {
    /// The wall clock's time, to the second.
    static var now: String { text(Face.Timestamp(millisecondsSince1970: Int64(time(nil)) * 1000)) }

    /// The wall clock's time.
    static var milliseconds: Int64 { Timestamp.wallClock.milliseconds }

    static func text(_ time: Face.Timestamp) -> String {
        var (seconds, milliseconds) = time.millisecondsSince1970.quotientAndRemainder(dividingBy: 1000)
        if milliseconds < 0 {
            seconds -= 1
            milliseconds += 1000
        }
        var clock = time_t(seconds)
        var parts = unsafe tm()
        unsafe gmtime_r(&clock, &parts)
        let (year, month, day) = unsafe (Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday))
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        let clockParts = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec]
        let hours = clockParts.map { padded(Int($0), 2) }.joined(separator: ":")
        return "\(date)T\(hours)" + (milliseconds == 0 ? "Z" : ".\(padded(Int(milliseconds), 3))Z")
    }

    private static func padded(_ value: Int, _ width: Int) -> String {
        let digits = "\(value)"
        return String(repeating: "0", count: max(0, width - digits.count)) + digits
    }
}
