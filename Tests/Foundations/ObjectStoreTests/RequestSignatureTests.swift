import FaceModel
import Foundation
import ObjectStore
import Testing

/// The worked examples of Amazon's documentation of Signature Version 4.
@Suite struct RequestSignatureTests {
    private static let signature = RequestSignature(
        credentials: .init(accessKey: "AKIAIOSFODNN7EXAMPLE", secretKey: "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"),
        region: "us-east-1"
    )
    private static let host = ("host", "examplebucket.s3.amazonaws.com")
    private static let time = "20130524T000000Z"

    private static func sign(
        _ method: String,
        _ path: String,
        query: [(String, String)] = [],
        headers: [(String, String)] = [],
        body: String = ""
    ) -> String? {
        let signed = signature.headers(
            method: method,
            path: path,
            query: query,
            headers: [host] + headers,
            body: Array(body.utf8),
            time: time
        )
        let authorization = signed.first { $0.0 == "authorization" }?.1
        return authorization.flatMap { $0.split(separator: "=").last.map(String.init) }
    }

    @Test func theDocumentedExamplesHaveTheirSignatures() {
        #expect(
            Self.sign("GET", "/test.txt", headers: [("range", "bytes=0-9")])
                == "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41"
        )
        #expect(
            Self.sign(
                "PUT",
                RequestSignature.encoded("/test$file.text", keepsSlash: true),
                headers: [("date", "Fri, 24 May 2013 00:00:00 GMT"), ("x-amz-storage-class", "REDUCED_REDUNDANCY")],
                body: "Welcome to Amazon S3."
            ) == "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd"
        )
        #expect(
            Self.sign("GET", "/", query: [("lifecycle", "")])
                == "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543"
        )
        #expect(
            Self.sign("GET", "/", query: [("prefix", "J"), ("max-keys", "2")])
                == "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7"
        )
    }

    @Test func aSessionTokenIsSignedAndSent() {
        let signature = RequestSignature(
            credentials: .init(accessKey: "A", secretKey: "B", sessionToken: "C"),
            region: "eu-west-1"
        )
        let headers = signature.headers(
            method: "GET",
            path: "/",
            query: [],
            headers: [Self.host],
            body: [],
            time: Self.time
        )
        #expect(headers.contains { $0 == ("x-amz-security-token", "C") })
        #expect(headers[0].1.contains("SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token,"))
    }
}

@Suite struct ObjectListingTests {
    @Test func pagesAreRead() throws {
        let text = """
            <?xml version="1.0" encoding="UTF-8"?>
            <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>b</Name>
            <IsTruncated>true</IsTruncated>
            <NextContinuationToken>a&amp;b=</NextContinuationToken>
            <Contents><Key>p/blocks/aa</Key><LastModified>2026-11-27T00:40:01.000Z</LastModified>
            <Size>17</Size></Contents>
            <Contents><Size>0</Size><Key>p/&lt;x&gt;&#39;&#x27;&amp;#39;</Key></Contents></ListBucketResult>
            """
        let page = try #require(ObjectListing(text))
        #expect(page.continuation == "a&b=")
        #expect(
            page.objects.map(\.key) == ["p/blocks/aa", "p/<x>''&#39;"] && page.objects.map(\.byteCount) == [17, 0]
        )
        #expect(page.objects[0].modified == Timestamp(milliseconds: 1_795_740_001_000))
        #expect(page.objects[1].modified == nil)
    }

    @Test func whatIsNoListingIsRefused() {
        for text in [
            "", "<html></html>", "<ListBucketResult><IsTruncated>true</IsTruncated></ListBucketResult>",
            "<ListBucketResult></ListBucketResult>",
        ] { #expect(ObjectListing(text) == nil, "\(text)") }
        let empty = "<ListBucketResult><IsTruncated>false</IsTruncated></ListBucketResult>"
        #expect(ObjectListing(empty)?.objects.isEmpty == true)
    }

    /// What is not in a listing counts as gone.
    @Test(
        arguments: [
            "<Contents><Key>a</Key><Size>-1</Size></Contents>", "<Contents><Key>a</Key><Size>1</Size>",
            "<Contents><Key>a&nbsp;</Key><Size>1</Size></Contents>",
            "<Contents><Key>a&#xD800;</Key><Size>1</Size></Contents>", "<Contents/>",
        ]
    )
    func whatMayBeLessThanAllIsRefused(contents: String) {
        let start = "<ListBucketResult><IsTruncated>false</IsTruncated><Contents><Key>b</Key><Size>2</Size></Contents>"
        let end = "</ListBucketResult>"
        #expect(ObjectListing(start + end)?.objects.map(\.key) == ["b"])
        #expect(ObjectListing(start + contents + end) == nil)
        #expect(ObjectListing(start + end.dropLast()) == nil)
        #expect(ObjectListing(start) == nil)
    }
}

@Suite struct ObjectStoreOptionsTests {
    private static let keys = ["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": "b"]

    @Test func placesAndVariablesAreRead() throws {
        let options = try ObjectStoreOptions(
            place: "s3://some-bucket//mien/daily/",
            environment: Self.keys.merging(["AWS_REGION": "eu-central-1"]) { $1 }
        )
        #expect(options.bucket == "some-bucket" && options.prefix == "mien/daily/")
        #expect(options.endpoint == "https://s3.eu-central-1.amazonaws.com")
        let local = try ObjectStoreOptions(
            place: "s3://some-bucket",
            environment: Self.keys.merging(["AWS_ENDPOINT_URL": "http://127.0.0.1:9000/"]) { $1 }
        )
        #expect(local.endpoint == "http://127.0.0.1:9000" && local.prefix.isEmpty)
    }

    @Test func whatIsMissingIsSaid() {
        for (place, environment) in [
            ("s3://", Self.keys), ("s3://a", Self.keys), ("s3://Some_Bucket/x", Self.keys),
            ("s3://some-bucket/../x", Self.keys), ("/folder", Self.keys), ("s3://some-bucket/x", [:]),
            ("s3://some-bucket/x", Self.keys.merging(["AWS_ENDPOINT_URL": "ftp://x"]) { $1 }),
        ] {
            #expect(throws: ObjectStoreOptions.Problem.self, "\(place)") {
                try ObjectStoreOptions(place: place, environment: environment)
            }
        }
    }

    /// Faces go there, and with http everyone between could read them.
    @Test func beyondThisMachineOnlyHttpsIsSpoken() throws {
        func options(_ endpoint: String) throws -> ObjectStoreOptions {
            let variables = Self.keys.merging(["AWS_ENDPOINT_URL": endpoint]) { $1 }
            return try ObjectStoreOptions(place: "s3://some-bucket/x", environment: variables)
        }
        for host in ["127.0.0.1:9000", "127.0.0.2", "localhost:9000/minio", "[::1]:9000", "LOCALHOST"] {
            #expect(try options("http://\(host)").endpoint == "http://\(host)")
        }
        for host in [
            "objects.example.org", "10.0.0.1:9000", "localhost.example.org", "127.0.0.1@10.0.0.1",
            "127.0.0.1:9000@10.0.0.1/x", "127.0.0.1.example.org", "[fd00::1]:9000", "", "/127.0.0.1",
        ] {
            #expect(throws: ObjectStoreOptions.Problem.self, "\(host)") { try options("http://\(host)") }
            if !host.isEmpty { #expect(try options("https://\(host)").endpoint == "https://\(host)") }
        }
        let error = #expect(throws: ObjectStoreOptions.Problem.self) { try options("http://objects.example.org") }
        #expect(error?.description.contains("use https") == true)
    }

    /// As of a token: keys that anybody can read are no secret.
    @Test func aFileOfKeysThatOthersCanReadIsRefused() throws {
        let path = NSTemporaryDirectory() + "mien-keys-\(UUID())"
        defer { try? FileManager.default.removeItem(atPath: path) }
        try "[default]\naws_access_key_id=one\naws_secret_access_key=two\n"
            .write(toFile: path, atomically: false, encoding: .utf8)
        func options() throws -> ObjectStoreOptions {
            try ObjectStoreOptions(place: "s3://some-bucket/x", environment: ["AWS_SHARED_CREDENTIALS_FILE": path])
        }
        for (mode, isTaken) in [(0o600, true), (0o640, false), (0o644, false), (0o606, false)] {
            try FileManager.default.setAttributes([.posixPermissions: mode], ofItemAtPath: path)
            if isTaken {
                #expect(try options().credentials.secretKey == "two")
            } else {
                let error = #expect(throws: ObjectStoreOptions.Problem.self) { try options() }
                #expect(error?.description.contains("chmod 600 \(path)") == true)
            }
        }
    }

    @Test func aProfileOfAFileIsFound() throws {
        let text = """
            [default]
            aws_access_key_id = one
            aws_secret_access_key = two
            # a remark = three
            [other]
            aws_access_key_id=four
            aws_secret_access_key=five
            aws_session_token=six
            [half]
            aws_access_key_id=seven
            """
        #expect(ObjectStoreOptions.credentials(inText: text, profile: "default")?.secretKey == "two")
        #expect(ObjectStoreOptions.credentials(inText: text, profile: "other")?.sessionToken == "six")
        #expect(ObjectStoreOptions.credentials(inText: text, profile: "half") == nil)
        #expect(ObjectStoreOptions.credentials(inText: text, profile: "none") == nil)
    }
}
