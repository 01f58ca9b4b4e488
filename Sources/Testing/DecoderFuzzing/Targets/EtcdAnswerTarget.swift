import Etcd
import Foundation
import NIOCore

extension FuzzTarget {
    /// Answers of etcd's JSON gateway: a byte for what was asked, then the answer's body.
    static let etcdAnswers = FuzzTarget(
        name: "etcd-answers",
        seeds: { EtcdAnswerTarget.seeds },
        accepts: { EtcdAnswerTarget.accepts($0) }
    )
}

enum EtcdAnswerTarget {
    private enum Question: UInt8, CaseIterable {
        case range, entry, transaction, grant, keepAlive, revoke, token, watch, failure
    }

    // What was asked.
    private static let range = EtcdRange.prefix(Array("p/".utf8))
    private static let (first, second) = (Array("p/a".utf8), Array("p/b".utf8))
    private static let conditions = [EtcdCondition.absent(first), .unchanged(second, modRevision: 7)]
    private static let changes = [EtcdChange.put(first, [1], lease: 5), .delete(second)]
    private static let (lease, limit) = (Int64(5), 3)
    private static let endpoint = "http://127.0.0.1:2379"

    static func accepts(_ bytes: [UInt8]) -> Bool {
        guard let choice = bytes.first else { return false }
        let question = Question.allCases[Int(choice) % Question.allCases.count]
        let body = Array(bytes.dropFirst())
        do throws(EtcdError) {
            return try read(body, as: question)
        } catch {
            precondition("\(error)".count > 10, "a refusal without a sentence")
            return false
        }
    }

    private static func read(_ body: [UInt8], as question: Question) throws(EtcdError) -> Bool {
        switch question {
        case .range:
            let page = try EtcdAnswer.page(body, of: range, limit: limit)
            precondition(page.entries.count <= limit, "a page is longer than asked for")
            precondition(page.entries.allSatisfy { $0.key.starts(with: range.first) }, "a key that nobody asked for")
            check(page.entries, page.revision)
            let again = try? EtcdAnswer.page(Array(text(of: page).utf8), of: range, limit: limit)
            precondition(again == page, "a page is another after it was written")
        case .entry:
            guard let entry = try EtcdAnswer.entry(body, of: first) else { break }
            precondition(entry.key == first, "an entry of another key")
            let page = EtcdPage(entries: [entry], revision: 0, hasMore: false)
            let again = try? EtcdAnswer.entry(Array(text(of: page).utf8), of: first)
            precondition(again == entry, "an entry is another after it was written")
        case .transaction:
            switch try EtcdAnswer.outcome(body, of: conditions, changes) {
            case .succeeded(let revision): check([], revision)
            case .failed(let entries):
                precondition(entries.count == conditions.count, "not an entry for each condition")
                for (entry, condition) in zip(entries, conditions) {
                    precondition(entry == nil || entry?.key == condition.key, "the entry of another condition")
                }
                check(entries.compactMap(\.self), 0)
            }
        case .grant:
            let granted = try EtcdAnswer.grantedLease(body)
            precondition(granted != 0, "a lease that is none")
        case .keepAlive: _ = try EtcdAnswer.isAlive(body, lease: lease)
        case .revoke: try EtcdAnswer.endOfLease(body)
        case .token:
            let token = try EtcdAnswer.token(body)
            precondition(!token.isEmpty, "an empty token")
        case .watch:
            let lines = split(body, pieceByteCount: body.count)
            precondition(lines == split(body, pieceByteCount: 5), "a stream in pieces has other lines")
            for line in lines {
                if let revision = try EtcdAnswer.watched(line, at: endpoint) { check([], revision) }
            }
            return !lines.isEmpty
        case .failure:
            // Of an answer that says what is wrong, no more is told than that.
            guard case .refused(_, let message) = EtcdAnswer.failure(body, status: 400, at: endpoint) else {
                return false
            }
            precondition(message.utf8.count <= max(3 * body.count, 16), "a message that nobody sent")
        }
        return true
    }

    /// What is counted on from what was read has a next one.
    private static func check(_ entries: [EtcdEntry], _ revision: Int64) {
        precondition((0..<Int64.max).contains(revision), "a revision that none can be")
        for entry in entries {
            precondition((0..<Int64.max).contains(entry.modRevision), "an entry's revision that none can be")
        }
    }

    private static func split(_ body: [UInt8], pieceByteCount: Int) -> [[UInt8]] {
        var splitter = LineSplitter()
        var lines: [[UInt8]] = []
        for start in stride(from: 0, to: body.count, by: max(1, pieceByteCount)) {
            let piece = body[start..<min(body.count, start + pieceByteCount)]
            lines += splitter.lines(of: ByteBuffer(bytes: piece)) ?? []
        }
        return lines
    }

    private static func text(of page: EtcdPage) -> String {
        let entries = page.entries.map { entry in
            "{\"key\":\"\(Data(entry.key).base64EncodedString())\",\"mod_revision\":\"\(entry.modRevision)\","
                + "\"value\":\"\(Data(entry.value).base64EncodedString())\"}"
        }
        return "{\"header\":{\"revision\":\"\(page.revision)\"},\"kvs\":[\(entries.joined(separator: ","))],"
            + "\"more\":\(page.hasMore)}"
    }

    /// As etcd 3.5 answers; keys are `p/a` and `p/b`.
    fileprivate static let seeds: [[UInt8]] = [
        (
            .range,
            """
            {"header":{"cluster_id":"14841639068965178418","member_id":"10276657743932975437","revision":"12",\
            "raft_term":"3"},"kvs":[{"key":"cC9h","create_revision":"2","mod_revision":"9","version":"4",\
            "value":"q80AAQI="},{"key":"cC9i","create_revision":"7","mod_revision":"7","version":"1","value":"AQ==",\
            "lease":"5"}],"more":true,"count":"5"}
            """
        ),
        (.range, #"{"header":{"revision":"12"}}"#),
        (.entry, #"{"header":{"revision":"12"},"kvs":[{"key":"cC9h","mod_revision":"9","value":"AQID"}],"count":"1"}"#),
        (
            .transaction,
            """
            {"header":{"revision":"13"},"succeeded":true,"responses":[{"response_put":{"header":{"revision":"13"}}},\
            {"response_delete_range":{"header":{"revision":"13"},"deleted":"1"}}]}
            """
        ),
        (
            .transaction,
            """
            {"header":{"revision":"13"},"responses":[{"response_range":{"header":{"revision":"13"},\
            "kvs":[{"key":"cC9h","mod_revision":"9"}],"count":"1"}},{"response_range":{"header":{"revision":"13"}}}]}
            """
        ),
        (.grant, #"{"header":{"revision":"13"},"ID":"7587890000000000005","TTL":"3"}"#),
        (.keepAlive, #"{"result":{"header":{"revision":"13"},"ID":"5","TTL":"3"}}"#),
        (.keepAlive, #"{"result":{"header":{"revision":"13"},"ID":"5"}}"#),
        (.revoke, #"{"header":{"revision":"13"}}"#),
        (.token, #"{"header":{"revision":"13"},"token":"someToken.12"}"#),
        (
            .watch,
            """
            {"result":{"header":{"revision":"13"},"created":true}}
            {"result":{"header":{"revision":"14"},"events":[{"kv":{"key":"cC9h","mod_revision":"14","value":"AQ=="}},\
            {"type":"DELETE","kv":{"key":"cC9i","mod_revision":"14"}}]}}

            """
        ),
        (.failure, #"{"error":"etcdserver: permission denied","message":"etcdserver: permission denied","code":7}"#),
        (.failure, #"{"error":{"grpc_code":5,"http_code":404,"message":"not found","http_status":"Not Found"}}"#),
    ].map { (question: Question, text: String) in [question.rawValue] + Array(text.utf8) }
}
