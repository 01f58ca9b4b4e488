import FaceModel
import ObjectStore

extension FuzzTarget {
    /// Pages of a listing, as an object store sends them.
    static let objectListings = FuzzTarget(
        name: "object-listings",
        seeds: { ObjectListingTarget.seeds },
        accepts: { ObjectListingTarget.accepts($0) }
    )
}

enum ObjectListingTarget {
    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let listing = ObjectListing(String(decoding: bytes, as: UTF8.self)) else { return false }
        precondition(8 * listing.objects.count <= bytes.count, "objects that nobody wrote")
        guard let again = ObjectListing(text(of: listing)) else {
            preconditionFailure("a listing is refused after it was written")
        }
        precondition(
            again.objects.map(\.key) == listing.objects.map(\.key)
                && again.objects.map(\.byteCount) == listing.objects.map(\.byteCount)
                && again.continuation == listing.continuation,
            "a listing is another after it was written"
        )
        return true
    }

    /// The listing, without times.
    private static func text(of listing: ObjectListing) -> String {
        var text = "<ListBucketResult>"
        for object in listing.objects {
            text += "<Contents><Key>\(encoded(object.key))</Key><Size>\(object.byteCount)</Size></Contents>"
        }
        text += "<IsTruncated>\(listing.continuation != nil)</IsTruncated>"
        if let continuation = listing.continuation {
            text += "<NextContinuationToken>\(encoded(continuation))</NextContinuationToken>"
        }
        return text + "</ListBucketResult>"
    }

    private static func encoded(_ text: String) -> String {
        var encoded = String.UnicodeScalarView()
        for character in text.unicodeScalars {
            switch character {
            case "&": encoded.append(contentsOf: "&amp;".unicodeScalars)
            case "<": encoded.append(contentsOf: "&lt;".unicodeScalars)
            case ">": encoded.append(contentsOf: "&#x3E;".unicodeScalars)
            default: encoded.append(character)
            }
        }
        return String(encoded)
    }

    fileprivate static let seeds: [[UInt8]] = [
        """
        <?xml version="1.0" encoding="UTF-8"?>
        <ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Name>faces</Name><Prefix>mien/</Prefix>\
        <KeyCount>2</KeyCount><MaxKeys>1000</MaxKeys><IsTruncated>true</IsTruncated>\
        <Contents><Key>mien/manifest-1</Key><LastModified>2026-01-31T09:30:00.000Z</LastModified>\
        <ETag>&quot;9b2c&quot;</ETag><Size>4096</Size><StorageClass>STANDARD</StorageClass></Contents>\
        <Contents><Key>mien/a&amp;b&lt;c</Key><LastModified>2026-12-01T00:00:59Z</LastModified><Size>0</Size>\
        </Contents><NextContinuationToken>1/a&amp;=</NextContinuationToken></ListBucketResult>
        """,
        """
        <ListBucketResult><IsTruncated>false</IsTruncated>\
        <Contents><Size>18446744073709551615</Size><Key>x</Key></Contents></ListBucketResult>
        """,
        "<ListBucketResult><KeyCount>0</KeyCount><IsTruncated>false</IsTruncated></ListBucketResult>",
    ].map { Array($0.utf8) }
}
