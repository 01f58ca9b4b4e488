import FoundationEssentials

struct LeaseGrantRequest: Encodable {
    enum CodingKeys: String, CodingKey {
        case seconds = "TTL"
    }

    var seconds: Int64Text
}

/// Names a lease: to keep it alive, or to end it.
struct LeaseRequest: Encodable {
    enum CodingKeys: String, CodingKey {
        case id = "ID"
    }

    var id: Int64Text
}

struct LeaseReply: Decodable {
    enum CodingKeys: String, CodingKey {
        case id = "ID"
        case seconds = "TTL"
    }

    var id: Int64Text?
    /// Missing for a lease that there is not.
    var seconds: Int64Text?
}

struct LeaseRevokeReply: Decodable {}

/// Answers of calls that are streams in gRPC come wrapped.
struct Streamed<Reply: Decodable>: Decodable {
    var result: Reply?
    var error: StreamFailure?
}

struct StreamFailure: Decodable {
    enum CodingKeys: String, CodingKey {
        case message
        case code = "grpc_code"
    }

    var message: String?
    var code: Int?
}

struct WatchRequest: Encodable {
    enum CodingKeys: String, CodingKey {
        case create = "create_request"
    }

    struct Create: Encodable {
        enum CodingKeys: String, CodingKey {
            case key
            case rangeEnd = "range_end"
            case startRevision = "start_revision"
        }

        var key: Data
        var rangeEnd: Data?
        var startRevision: Int64Text?
    }

    var create: Create
}

struct WatchReply: Decodable {
    enum CodingKeys: String, CodingKey {
        case header, created, canceled
        case compactRevision = "compact_revision"
        case cancelReason = "cancel_reason"
    }

    var header: Header?
    var created: Bool?
    var canceled: Bool?
    var compactRevision: Int64Text?
    var cancelReason: String?
}

struct AuthenticateRequest: Encodable {
    var name: String
    var password: String
}

struct AuthenticateReply: Decodable {
    var token: String?
}

/// The body of an answer with another status than 200: a code and words, or for calls that are streams in gRPC an
/// object with both.
struct Failure: Decodable {
    enum CodingKeys: String, CodingKey {
        case error, message, code
    }

    var message: String?
    var code: Int?

    init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        if let wrapped = try? fields.decode(StreamFailure.self, forKey: .error) {
            (message, code) = (wrapped.message, wrapped.code)
        } else {
            message =
                try fields.decodeIfPresent(String.self, forKey: .error)
                ?? fields.decodeIfPresent(String.self, forKey: .message)
            code = try fields.decodeIfPresent(Int.self, forKey: .code)
        }
    }
}
