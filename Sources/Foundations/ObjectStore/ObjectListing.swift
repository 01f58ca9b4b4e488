package import FaceModel
internal import Glibc

/// One page of the answer to a listing (`ListObjectsV2`).
///
/// The answer is XML of which little matters: it is read tag by tag, and other tags are left out. What may be less than
/// all of it, or says something in another way, is refused: an object that is not listed counts as gone.
package struct ObjectListing: Hashable, Sendable {
    package struct Object: Hashable, Sendable {
        package var key: String
        package var byteCount: UInt64
        package var modified: Timestamp?
    }

    package var objects: [Object]
    /// Where the next page begins; nil at the end.
    package var continuation: String?

    /// - Returns: nil for what is no such answer, or not all of one.
    package init?(_ text: String) {
        var whole = Substring(text)
        guard Self.range(of: "<ListBucketResult", in: whole) != nil,
            Self.range(of: "</ListBucketResult>", in: whole) != nil,
            let truncation = Self.element("IsTruncated", &whole)?.lowercased(), ["true", "false"].contains(truncation)
        else { return nil }
        objects = []
        var rest = Substring(text)
        while let content = Self.element("Contents", &rest) {
            var (first, second, third) = (content, content, content)
            guard let key = Self.element("Key", &first).flatMap(Self.decoded),
                let size = Self.element("Size", &second), let byteCount = UInt64(size)
            else { return nil }
            let modified = Self.element("LastModified", &third).flatMap(Self.time)
            objects.append(Object(key: key, byteCount: byteCount, modified: modified))
        }
        guard Self.range(of: "<Contents", in: rest) == nil else { return nil }
        guard truncation == "true" else { return }
        whole = Substring(text)
        continuation = Self.element("NextContinuationToken", &whole).flatMap(Self.decoded)
        if continuation == nil { return nil }
    }

    /// Byte by byte: a mark that joins the character before it belongs to a name, and not to the tag.
    private static func range(of part: String, in text: Substring) -> Range<String.Index>? {
        text.utf8.firstRange(of: part.utf8)
    }

    /// What is between the next such tags; the text behind them is left.
    private static func element(_ name: String, _ text: inout Substring) -> Substring? {
        guard let start = range(of: "<\(name)>", in: text) else { return nil }
        let behind = text[start.upperBound...]
        guard let end = range(of: "</\(name)>", in: behind) else { return nil }
        text = behind[end.upperBound...]
        return behind[..<end.lowerBound]
    }

    /// The text, with characters in place of references to them; nil where one refers to none.
    private static func decoded(_ text: Substring) -> String? {
        var decoded = String.UnicodeScalarView()
        var rest = text.unicodeScalars
        while let start = rest.firstIndex(of: "&") {
            let behind = rest[rest.index(after: start)...]
            guard let end = behind.firstIndex(of: ";"), let character = character(String(behind[..<end])) else {
                return nil
            }
            decoded.append(contentsOf: rest[..<start])
            decoded.append(character)
            rest = behind[behind.index(after: end)...]
        }
        decoded.append(contentsOf: rest)
        return String(decoded)
    }

    private static func character(_ reference: String) -> Unicode.Scalar? {
        switch reference {
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        case "amp": return "&"
        default:
            guard reference.hasPrefix("#") else { return nil }
            let digits = reference.dropFirst()
            let number = digits.hasPrefix("x") ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return number.flatMap { Unicode.Scalar($0) }
        }
    }

    /// Of `2026-01-31T09:30:00.000Z`, to the second.
    private static func time(_ text: Substring) -> Timestamp? {
        let numbers = text.split { !$0.isASCII || !$0.isNumber }.prefix(6).map { Int32($0) }
        guard numbers.count == 6, !numbers.contains(nil) else { return nil }
        let values = numbers.map { $0! }
        guard (1970...9999).contains(values[0]) else { return nil }
        var parts = unsafe tm()
        unsafe parts.tm_year = values[0] - 1900
        unsafe parts.tm_mon = values[1] - 1
        unsafe parts.tm_mday = values[2]
        unsafe parts.tm_hour = values[3]
        unsafe parts.tm_min = values[4]
        unsafe parts.tm_sec = values[5]
        return Timestamp(milliseconds: Int64(unsafe timegm(&parts)) * 1000)
    }
}
