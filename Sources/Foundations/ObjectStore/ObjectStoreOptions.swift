internal import ClusterModel
internal import FoundationEssentials
internal import Glibc

/// Where an object store is and who asks, from the variables and files that other programs for such stores read too.
package struct ObjectStoreOptions: Sendable {
    package var bucket: String
    /// Before the names of all objects: empty, or ending in a slash.
    package var prefix: String
    /// Such as `https://s3.eu-central-1.amazonaws.com`; the bucket is the first part of the path.
    package var endpoint: String
    package var region: String
    package var credentials: RequestSignature.Credentials

    package init(
        bucket: String,
        prefix: String,
        endpoint: String,
        region: String,
        credentials: RequestSignature.Credentials
    ) {
        self.bucket = bucket
        self.prefix = prefix
        self.endpoint = endpoint
        self.region = region
        self.credentials = credentials
    }

    package struct Problem: Error, Hashable, Sendable, CustomStringConvertible {
        package let description: String
    }

    /// - Parameters:
    ///   - place: `s3://bucket` or `s3://bucket/prefix`.
    ///   - environment: `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY`, `AWS_SESSION_TOKEN`, or else
    ///     `AWS_SHARED_CREDENTIALS_FILE` and `AWS_PROFILE`; `AWS_REGION` or `AWS_DEFAULT_REGION`; `AWS_ENDPOINT_URL_S3`
    ///     or `AWS_ENDPOINT_URL`.
    package init(place: String, environment: [String: String]) throws(Problem) {
        guard place.hasPrefix("s3://") else { throw Problem(description: "'\(place)' does not begin with s3://") }
        let parts = place.dropFirst(5).split(separator: "/", omittingEmptySubsequences: true)
        guard let bucket = parts.first, Self.isBucket(bucket) else {
            throw Problem(description: "'\(place)' names no bucket; write s3://bucket/prefix")
        }
        guard parts.dropFirst().allSatisfy({ $0 != "." && $0 != ".." }) else {
            throw Problem(description: "'\(place)' has a prefix with '.' or '..' in it")
        }
        func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }
        let region = value("AWS_REGION") ?? value("AWS_DEFAULT_REGION") ?? "us-east-1"
        let endpoint =
            value("AWS_ENDPOINT_URL_S3") ?? value("AWS_ENDPOINT_URL") ?? "https://s3.\(region).amazonaws.com"
        guard endpoint.hasPrefix("https://") || endpoint.hasPrefix("http://") else {
            throw Problem(description: "the endpoint '\(endpoint)' is no http or https address")
        }
        guard endpoint.hasPrefix("https://") || Self.isLoopback(endpoint) else {
            throw Problem(
                description: "the endpoint \(endpoint) is beyond this machine, and with http everyone between could "
                    + "read the faces that are sent there; use https"
            )
        }
        var credentials: RequestSignature.Credentials
        if let accessKey = value("AWS_ACCESS_KEY_ID"), let secretKey = value("AWS_SECRET_ACCESS_KEY") {
            credentials = .init(accessKey: accessKey, secretKey: secretKey)
            credentials.sessionToken = value("AWS_SESSION_TOKEN")
        } else {
            let file = value("AWS_SHARED_CREDENTIALS_FILE") ?? value("HOME").map { "\($0)/.aws/credentials" }
            let profile = value("AWS_PROFILE") ?? "default"
            guard let file, let found = try Self.credentials(inFile: file, profile: profile) else {
                throw Problem(
                    description: "there are no keys for \(place): set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or "
                        + "AWS_SHARED_CREDENTIALS_FILE to a file with the profile '\(profile)'"
                )
            }
            credentials = found
        }
        self.init(
            bucket: String(bucket),
            prefix: parts.dropFirst().map { "\($0)/" }.joined(),
            endpoint: endpoint.hasSuffix("/") ? String(endpoint.dropLast()) : endpoint,
            region: region,
            credentials: credentials
        )
    }

    private static func isBucket(_ text: Substring) -> Bool {
        (3...63).contains(text.utf8.count)
            && text.utf8.allSatisfy {
                (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
                    || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) || $0 == UInt8(ascii: "-")
                    || $0 == UInt8(ascii: ".")
            }
    }

    /// Whether requests to an endpoint with http stay on this machine.
    private static func isLoopback(_ endpoint: String) -> Bool {
        let authority = endpoint.dropFirst("http://".count).prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let isBracketed = authority.hasPrefix("[")
        let host = isBracketed ? authority.dropFirst().prefix { $0 != "]" } : authority.prefix { $0 != ":" }
        // What is before an @ is no host.
        return !authority.contains("@") && NodeAddress(host: String(host), port: 0).isLoopback
    }

    /// Nil without such a file, or such a profile in it.
    private static func credentials(
        inFile path: String,
        profile: String
    ) throws(Problem) -> RequestSignature.Credentials? {
        var status = stat()
        if unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, status.st_mode & 0o077 != 0 {
            throw Problem(description: "the keys in \(path) can be read by other users; run: chmod 600 \(path)")
        }
        guard let data = try? Data(contentsOf: URL(filePath: path)), data.count <= 1 << 20 else { return nil }
        return credentials(inText: String(decoding: data, as: UTF8.self), profile: profile)
    }

    /// Those of a profile in the text of a credentials file; nil when it has none.
    package static func credentials(inText text: String, profile: String) -> RequestSignature.Credentials? {
        var values: [String: String] = [:]
        var isOurs = false
        for line in text.split(whereSeparator: \.isNewline) {
            let line = line.drop { $0 == " " }
            if line.hasPrefix("[") {
                isOurs = line.dropFirst().prefix { $0 != "]" }.filter { $0 != " " } == profile
            } else if isOurs, let sign = line.firstIndex(of: "="), !line.hasPrefix("#") {
                values[line[..<sign].filter { $0 != " " }] = line[line.index(after: sign)...].filter { $0 != " " }
            }
        }
        guard let accessKey = values["aws_access_key_id"], let secretKey = values["aws_secret_access_key"] else {
            return nil
        }
        return .init(accessKey: accessKey, secretKey: secretKey, sessionToken: values["aws_session_token"])
    }
}
