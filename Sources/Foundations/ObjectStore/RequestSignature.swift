internal import Crypto
internal import FoundationEssentials

/// Signs requests to an object store: AWS Signature Version 4, in headers.
///
/// - SeeAlso: AWS, "Authenticating Requests: Using the Authorization Header (AWS Signature Version 4)".
package struct RequestSignature: Sendable {
    package struct Credentials: Sendable {
        package var accessKey: String
        package var secretKey: String
        /// Of temporary credentials.
        package var sessionToken: String?

        package init(accessKey: String, secretKey: String, sessionToken: String? = nil) {
            self.accessKey = accessKey
            self.secretKey = secretKey
            self.sessionToken = sessionToken
        }
    }

    private let credentials: Credentials
    private let region: String
    private static let service = "s3"

    package init(credentials: Credentials, region: String) {
        self.credentials = credentials
        self.region = region
    }

    /// The headers that a request needs besides, in order of name.
    ///
    /// - Parameters:
    ///   - path: of the request, encoded.
    ///   - query: names and values, not encoded.
    ///   - headers: names in lower case, `host` among them; all are signed.
    ///   - time: `yyyymmddThhmmssZ`.
    package func headers(
        method: String,
        path: String,
        query: [(String, String)],
        headers: [(String, String)],
        body: [UInt8],
        time: String
    ) -> [(String, String)] {
        let bodyDigest = Self.hex(SHA256.hash(data: body))
        var added = [("x-amz-content-sha256", bodyDigest), ("x-amz-date", time)]
        if let token = credentials.sessionToken { added.append(("x-amz-security-token", token)) }
        let signed = (headers + added).sorted { $0.0 < $1.0 }
        let names = signed.map(\.0).joined(separator: ";")
        let canonical = [
            method, path, Self.encoded(query), signed.map { "\($0.0):\($0.1)\n" }.joined(), names, bodyDigest,
        ].joined(separator: "\n")
        let day = String(time.prefix(8))
        let scope = "\(day)/\(region)/\(Self.service)/aws4_request"
        let text = [
            "AWS4-HMAC-SHA256", time, scope, Self.hex(SHA256.hash(data: Array(canonical.utf8))),
        ].joined(separator: "\n")
        var key = SymmetricKey(data: Array("AWS4\(credentials.secretKey)".utf8))
        for part in [day, region, Self.service, "aws4_request"] {
            key = SymmetricKey(data: Array(HMAC<SHA256>.authenticationCode(for: Array(part.utf8), using: key)))
        }
        let signature = Self.hex(HMAC<SHA256>.authenticationCode(for: Array(text.utf8), using: key))
        let authorization =
            "AWS4-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope),SignedHeaders=\(names),"
            + "Signature=\(signature)"
        return [("authorization", authorization)] + added
    }

    /// The query as it is sent and signed: encoded, in order of name.
    package static func encoded(_ query: [(String, String)]) -> String {
        query.map { (encoded($0.0), encoded($0.1)) }.sorted { $0 < $1 }.map { "\($0.0)=\($0.1)" }
            .joined(separator: "&")
    }

    /// All but letters, digits and `-._~` as `%XX`.
    ///
    /// - Parameter keepsSlash: for paths.
    package static func encoded(_ text: String, keepsSlash: Bool = false) -> String {
        let digits = Array("0123456789ABCDEF")
        return text.utf8.reduce(into: "") { encoded, byte in
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                encoded.append(Character(UnicodeScalar(byte)))
            case UInt8(ascii: "/") where keepsSlash: encoded.append("/")
            default: encoded += "%\(digits[Int(byte >> 4)])\(digits[Int(byte & 15)])"
            }
        }
    }

    private static func hex(_ bytes: some Sequence<UInt8>) -> String {
        let digits = Array("0123456789abcdef")
        return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
    }
}
