/// What commands write with `--json`, as far as stories look at it. Names are those of the documents.
struct CollectionDocument: Decodable {
    struct Shard: Decodable {
        var index: Int
        var state: String
        var faces: Int
        var fresh: Int
    }

    var name: String
    var faces: Int
    var fresh: Int
    var training: String
    var shards: [Shard]
}

struct ImportDocument: Decodable {
    var rows: Int
    var accepted: Int
    var replaced: Int
    var superseded: Int
    var rejected: Int
}

/// A line of a search for one probe.
struct ProbeLine: Decodable, Equatable {
    struct Match: Decodable, Equatable {
        var rank: Int
        var face_id: String
        var similarity: Double
    }

    var probe: Int
    var matches: [Match]
    var mated: Bool?
    var mate_rank: Int?
}

/// The last line of a search.
struct SearchSummaryLine: Decodable {
    struct Coverage: Decodable {
        struct Missing: Decodable {
            var shard: Int
            var reason: String
        }

        var full: Bool
        var share: Double
        var shards_asked: Int
        var shards_answered: Int
        var faces_total: Int
        var faces_answered: Int
        var missing: [Missing]
        var has_loss: Bool
    }

    struct Summary: Decodable {
        var probes: Int
        var rejected: Int
        var coverage: Coverage?
        var mated_probes: Int?
        var mates_at_rank_1: Int?
        var nonmated_probes: Int?
    }

    var summary: Summary
}
