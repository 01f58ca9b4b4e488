import Etcd
import Testing

/// What answers as etcd and is something else is found out by what was asked. Keys are `p/a`, `p/b` and `q`.
struct EtcdAnswerTests {
    private let range = EtcdRange.prefix(Array("p/".utf8))
    private let first = Array("p/a".utf8)
    private let second = Array("p/b".utf8)

    private func page(_ keys: [String], more: Bool = false, limit: Int = 2) throws(EtcdError) -> EtcdPage {
        let entries = keys.map { "{\"key\":\"\($0)\",\"mod_revision\":\"3\"}" }.joined(separator: ",")
        let text = "{\"header\":{\"revision\":\"3\"},\"kvs\":[\(entries)],\"more\":\(more)}"
        return try EtcdAnswer.page(Array(text.utf8), of: range, limit: limit)
    }

    /// Whoever reads on behind the last key of a page comes to an end.
    @Test func aPageIsOfTheRangeInOrder() throws {
        #expect(try page(["cC9h", "cC9i"], more: true).entries.map(\.key) == [first, second])
        #expect(try page([]).entries.isEmpty)
        for keys in [["cC9i", "cC9h"], ["cC9h", "cC9h"], ["cQ=="], ["AA=="]] {
            #expect(throws: EtcdError.malformed(reason: "other keys than those asked for, or in another order")) {
                try page(keys)
            }
        }
        #expect(throws: EtcdError.self) { try page(["cC9h", "cC9i"], limit: 1) }
        #expect(throws: EtcdError.self, "reading on would begin at the same key") { try page([], more: true) }
    }

    @Test func aFailedTransactionTellsOfItsOwnConditions() throws {
        func outcome(_ keys: [String]) throws(EtcdError) -> EtcdOutcome {
            let ranges = keys.map { key in
                "{\"response_range\":{\"kvs\":[{\"key\":\"\(key)\",\"mod_revision\":\"3\"}]}}"
            }
            let text = "{\"header\":{\"revision\":\"3\"},\"responses\":[\(ranges.joined(separator: ","))]}"
            return try EtcdAnswer.outcome(Array(text.utf8), of: [.absent(first), .absent(second)], [.delete(first)])
        }
        #expect(try outcome(["cC9h", "cC9i"]) == .failed(try page(["cC9h", "cC9i"]).entries))
        #expect(throws: EtcdError.malformed(reason: "another key than the one asked for")) {
            try outcome(["cC9i", "cC9h"])
        }
    }

    /// A member that stops may have handed the change over before, so that the others make it.
    @Test func aFailureSaysWhetherAChangeMayHaveBeenMade() {
        func failure(_ words: String) -> EtcdError {
            EtcdAnswer.failure(Array("{\"error\":\"\(words)\",\"code\":14}".utf8), status: 503, at: "etcd")
        }
        for words in ["etcdserver: no leader", "etcdserver: not capable"] {
            #expect(failure(words) == .unavailable(reason: "etcd: \(words)"))
        }
        for words in ["etcdserver: server stopped", "etcdserver: request timed out", "etcdserver: leader changed"] {
            #expect(failure(words) == .outcomeUnknown(reason: "etcd: \(words)"))
        }
    }

    /// A watch begins again there.
    @Test func aWatchEndsAtARevisionThatCanBe() {
        func watched(_ revision: String) throws(EtcdError) -> Int64? {
            let line = "{\"result\":{\"canceled\":true,\"compact_revision\":\"\(revision)\"}}"
            return try EtcdAnswer.watched(Array(line.utf8), at: "etcd")
        }
        #expect(throws: EtcdError.compacted(revision: 9)) { try watched("9") }
        for revision in ["-1", "\(Int64.max)"] {
            #expect(throws: EtcdError.malformed(reason: "the end of a watch without a revision")) {
                try watched(revision)
            }
        }
    }
}
