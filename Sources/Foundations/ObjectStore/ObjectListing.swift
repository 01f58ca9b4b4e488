package import FaceModel
internal import Glibc

/// One page of the answer to a listing (`ListObjectsV2`).
///
/// The answer is XML of which little matters: it is read tag by tag, and whatever is not understood is left out.
package struct ObjectListing: Hashable, Sendable {
    package struct Object: Hashable, Sendable {
        package var key: String
        package var byteCount: UInt64
        package var modified: Timestamp?
    }

    package var objects: [Object]
    /// Where the next page begins; nil at the end.
    package var continuation: String?

    /// - Returns: nil for what is no such answer.
    package init?(_ text: String) {
        guard text.contains("<ListBucketResult") else { return nil }
        objects = []
        var rest = Substring(text)
        while let content = Self.element("Contents", &rest) {
            var (first, second, third) = (content, content, content)
            guard let key = Self.element("Key", &first), let size = Self.element("Size", &second),
                let byteCount = UInt64(size)
            else { return nil }
            let modified = Self.element("LastModified", &third).flatMap(Self.time)
            objects.append(Object(key: Self.decoded(key), byteCount: byteCount, modified: modified))
        }
        var whole = Substring(text)
        let isTruncated = Self.element("IsTruncated", &whole) == "true"
        whole = Substring(text)
        continuation = isTruncated ? Self.element("NextContinuationToken", &whole).map(Self.decoded) : nil
        if isTruncated, continuation == nil { return nil }
    }

    /// What is between the next such tags; the text behind them is left.
    private static func element(_ name: String, _ text: inout Substring) -> Substring? {
        guard let start = text.firstRange(of: "<\(name)>") else { return nil }
        let behind = text[start.upperBound...]
        guard let end = behind.firstRange(of: "</\(name)>") else { return nil }
        text = behind[end.upperBound...]
        return behind[..<end.lowerBound]
    }

    private static func decoded(_ text: Substring) -> String {
        var decoded = String(text)
        for (entity, character) in [
            ("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&apos;", "'"), ("&amp;", "&"),
        ] { decoded.replace(entity, with: character) }
        return decoded
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
