/// Keys of the slow-search log. Times are whole microseconds.
package enum LogKey: String, CaseIterable, Sendable {
    case answer = "answer_us"
    case collection
    case compare = "compare_us"
    case effort
    case facesAnswered = "faces_answered"
    case flat = "flat_us"
    case listsVisited = "lists_visited"
    case matchLimit = "k"
    case merge = "merge_us"
    case place
    case plan = "plan_us"
    case prepare = "prepare_us"
    case probeCount = "probes"
    case queue = "queue_us"
    case rank = "rank_us"
    case rowsCompared = "rows_compared"
    case rowsVisited = "rows_visited"
    case scan = "scan_us"
    case shard
    case shardCount = "shards"
    case shards = "shards_us"
    case slowestShard = "slowest_shard"
    case status
    /// Slow searches that were not logged, since the last one that was.
    case suppressed
    case total = "total_us"
}
