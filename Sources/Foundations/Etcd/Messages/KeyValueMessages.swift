import FoundationEssentials

// Field names are those of etcd's protobuf messages. The gateway passes over names that it does not know, and leaves
// out what has its default: every field of an answer may be missing.

struct Header: Decodable {
    var revision: Int64Text?
}

struct RangeRequest: Encodable {
    enum CodingKeys: String, CodingKey {
        case key, limit, revision
        case rangeEnd = "range_end"
        case keysOnly = "keys_only"
    }

    var key: Data
    var rangeEnd: Data?
    var limit: Int64Text?
    /// As of which revision; nil for now.
    var revision: Int64Text?
    var keysOnly: Bool?
}

struct KeyValue: Decodable {
    enum CodingKeys: String, CodingKey {
        case key, value
        case modRevision = "mod_revision"
    }

    var key: Data?
    var value: Data?
    var modRevision: Int64Text?
}

struct RangeReply: Decodable {
    enum CodingKeys: String, CodingKey {
        case header, more
        case entries = "kvs"
    }

    var header: Header?
    var entries: [KeyValue]?
    var more: Bool?
}

struct PutRequest: Encodable {
    var key: Data
    var value: Data
    var lease: Int64Text?
}

struct DeleteRangeRequest: Encodable {
    var key: Data
}

struct CompareRequest: Encodable {
    enum CodingKeys: String, CodingKey {
        case key, target, result
        case modRevision = "mod_revision"
        case createRevision = "create_revision"
    }

    var key: Data
    var target: String
    var result = "EQUAL"
    var modRevision: Int64Text?
    var createRevision: Int64Text?
}

struct OperationRequest: Encodable {
    enum CodingKeys: String, CodingKey {
        case range = "request_range"
        case put = "request_put"
        case deleteRange = "request_delete_range"
    }

    var range: RangeRequest?
    var put: PutRequest?
    var deleteRange: DeleteRangeRequest?
}

struct TransactionRequest: Encodable {
    var compare: [CompareRequest]
    var success: [OperationRequest]
    var failure: [OperationRequest]
}

struct OperationReply: Decodable {
    enum CodingKeys: String, CodingKey {
        case range = "response_range"
        case put = "response_put"
        case deleteRange = "response_delete_range"
    }

    struct Done: Decodable {}

    var range: RangeReply?
    var put: Done?
    var deleteRange: Done?
}

struct TransactionReply: Decodable {
    var header: Header?
    var succeeded: Bool?
    var responses: [OperationReply]?
}
