import Glibc

/// Why a line is not what it should be; the reason follows a name in a sentence and holds no value.
struct JSONFault: Error, Equatable {
    var reason: String

    init(_ reason: String) {
        self.reason = reason
    }
}

/// Reads one JSON text in order, without building a tree: what is not asked for is a fault (RFC 8259).
struct JSONScanner {
    private let text: [UInt8]
    private var position = 0

    init(_ text: [UInt8]) {
        self.text = text
    }

    private var byte: UInt8 { position < text.count ? text[position] : 0 }

    private mutating func skipBlanks() {
        while position < text.count, byte == 0x20 || byte == 0x09 || byte == 0x0A || byte == 0x0D { position += 1 }
    }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard position < text.count, byte == UInt8(ascii: character) else { return false }
        position += 1
        return true
    }

    private func expected(_ what: String) -> JSONFault {
        JSONFault(position < text.count ? "needs \(what) at byte \(position)" : "ends where \(what) was expected")
    }

    /// - Returns: whether a member follows.
    mutating func beginObject() throws(JSONFault) -> Bool {
        guard take("{") else { throw expected("an object") }
        return !take("}")
    }

    /// - Returns: whether another member follows.
    mutating func continueObject() throws(JSONFault) -> Bool {
        if take(",") { return true }
        guard take("}") else { throw expected("',' or '}'") }
        return false
    }

    mutating func key() throws(JSONFault) -> String {
        let key = try string()
        guard take(":") else { throw expected("':'") }
        return key
    }

    mutating func end() throws(JSONFault) {
        skipBlanks()
        guard position == text.count else { throw JSONFault("text follows the object at byte \(position)") }
    }

    mutating func takeNull() -> Bool {
        skipBlanks()
        guard text[position...].starts(with: "null".utf8) else { return false }
        position += 4
        return true
    }

    mutating func string() throws(JSONFault) -> String {
        guard take("\"") else { throw expected("a string") }
        var bytes: [UInt8] = []
        while position < text.count {
            let next = byte
            position += 1
            switch next {
            case UInt8(ascii: "\""):
                guard let string = String(validating: bytes, as: UTF8.self) else {
                    throw JSONFault("is not UTF-8 text")
                }
                return string
            case UInt8(ascii: "\\"): try appendEscape(to: &bytes)
            case 0..<0x20: throw JSONFault("has a raw control character at byte \(position - 1)")
            default: bytes.append(next)
            }
        }
        throw JSONFault("has a string without an end")
    }

    private mutating func appendEscape(to bytes: inout [UInt8]) throws(JSONFault) {
        let escape = byte
        position += 1
        switch escape {
        case UInt8(ascii: "\""), UInt8(ascii: "\\"), UInt8(ascii: "/"): bytes.append(escape)
        case UInt8(ascii: "b"): bytes.append(0x08)
        case UInt8(ascii: "f"): bytes.append(0x0C)
        case UInt8(ascii: "n"): bytes.append(0x0A)
        case UInt8(ascii: "r"): bytes.append(0x0D)
        case UInt8(ascii: "t"): bytes.append(0x09)
        case UInt8(ascii: "u"):
            var code = try hexadecimal()
            if (0xD800..<0xDC00).contains(code), text[min(position, text.count)...].starts(with: "\\u".utf8) {
                position += 2
                let low = try hexadecimal()
                guard (0xDC00..<0xE000).contains(low) else { throw JSONFault("has half a surrogate pair") }
                code = 0x10000 + (code - 0xD800) << 10 + (low - 0xDC00)
            }
            guard let scalar = Unicode.Scalar(code) else { throw JSONFault("has half a surrogate pair") }
            bytes.append(contentsOf: String(Character(scalar)).utf8)
        default:
            throw JSONFault("has an unknown escape at byte \(position - 1)")
        }
    }

    private mutating func hexadecimal() throws(JSONFault) -> UInt32 {
        guard position + 4 <= text.count else { throw JSONFault("ends inside an escape") }
        var code: UInt32 = 0
        for digit in text[position..<(position + 4)] {
            guard let value = Character(Unicode.Scalar(digit)).hexDigitValue else {
                throw JSONFault("has a bad escape at byte \(position)")
            }
            code = code << 4 | UInt32(value)
        }
        position += 4
        return code
    }

    /// A number, rounded correctly; one beyond the range of `Double` becomes infinite and is refused by who checks
    /// rows.
    mutating func number() throws(JSONFault) -> Double {
        skipBlanks()
        let start = position
        if byte == UInt8(ascii: "-") { position += 1 }
        var mantissa: UInt64 = 0
        var digits = 0
        var exponent = 0
        func isDigit(_ byte: UInt8) -> Bool { byte &- 0x30 < 10 }
        guard isDigit(byte) else {
            position = start
            throw expected("a number")
        }
        let startsWithZero = byte == 0x30
        while isDigit(byte) {
            mantissa = mantissa &* 10 &+ UInt64(byte - 0x30)
            digits += 1
            position += 1
        }
        guard !startsWithZero || digits == 1 else { throw JSONFault("has a number with a leading zero") }
        if byte == UInt8(ascii: ".") {
            position += 1
            guard isDigit(byte) else { throw expected("a digit") }
            while isDigit(byte) {
                mantissa = mantissa &* 10 &+ UInt64(byte - 0x30)
                digits += 1
                exponent -= 1
                position += 1
            }
        }
        if byte | 0x20 == UInt8(ascii: "e") {
            position += 1
            let isNegative = byte == UInt8(ascii: "-")
            if isNegative || byte == UInt8(ascii: "+") { position += 1 }
            guard isDigit(byte) else { throw expected("a digit") }
            var power = 0
            while isDigit(byte) {
                power = min(100_000, power * 10 + Int(byte - 0x30))
                position += 1
            }
            exponent += isNegative ? -power : power
        }
        // Exact operands make one exact-rounded operation (Clinger 1990); everything else goes to strtod.
        if digits <= 19, mantissa <= 1 << 53, abs(exponent) <= 22 {
            let magnitude =
                exponent < 0
                ? Double(mantissa) / Self.powersOfTen[-exponent] : Double(mantissa) * Self.powersOfTen[exponent]
            return text[start] == UInt8(ascii: "-") ? -magnitude : magnitude
        }
        return unsafe strtod(String(decoding: text[start..<position], as: UTF8.self), nil)
    }

    /// A string, or a number as it is written, which keeps whole numbers exact.
    mutating func stringOrNumberText() throws(JSONFault) -> String {
        skipBlanks()
        if byte == UInt8(ascii: "\"") { return try string() }
        let start = position
        _ = try number()
        return String(decoding: text[start..<position], as: UTF8.self)
    }

    private static let powersOfTen: [Double] = [
        1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19,
        1e20, 1e21, 1e22,
    ]

    /// An array of at most `limit` numbers.
    mutating func floats(limit: Int) throws(JSONFault) -> [Float] {
        guard take("[") else { throw expected("an array of numbers") }
        var values: [Float] = []
        if take("]") { return values }
        repeat {
            guard values.count < limit else { throw JSONFault("has more than \(limit) numbers") }
            values.append(Float(try number()))
        } while take(",")
        guard take("]") else { throw expected("',' or ']'") }
        return values
    }

    /// An object whose values are all strings.
    mutating func strings() throws(JSONFault) -> [String: String] {
        var values: [String: String] = [:]
        var hasMembers = try beginObject()
        while hasMembers {
            let key = try key()
            guard values.updateValue(try string(), forKey: key) == nil else {
                throw JSONFault("has a key twice (a letter is the same however it is composed)")
            }
            hasMembers = try continueObject()
        }
        return values
    }

    /// What a number of seconds may stand for, in milliseconds: the years 0 to 9999. Milliseconds since 1970 by mistake
    /// are beyond.
    private static let numberedTimes = -62_167_219_200_000.0..<253_402_300_800_000

    /// A time as seconds since 1970 or as RFC 3339 text, in milliseconds.
    mutating func milliseconds() throws(JSONFault) -> Int64 {
        skipBlanks()
        if byte == UInt8(ascii: "\"") {
            guard let time = TimestampText.milliseconds(rfc3339: try string()) else {
                throw JSONFault("is not a time such as 2026-01-31T12:00:00Z")
            }
            return time
        }
        let value = (try number() * 1000).rounded()
        guard Self.numberedTimes.contains(value) else {
            throw JSONFault("is outside the years 0 to 9999: a number is seconds since 1970, not milliseconds")
        }
        return Int64(value)
    }
}
