/// The spans along a search, from the outermost in.
package enum SpanName: String, CaseIterable, Sendable {
    /// A client's search at its coordinator.
    case search = "mien.search"
    /// One shard's part as the coordinator waits for it.
    case shardCall = "mien.search.shard"
    /// Merging the shards' answers.
    case merge = "mien.search.merge"
    /// One shard's part at its worker, from arrival to answer.
    case shardSearch = "mien.worker.search"
    /// The part of it that is in the partition.
    case partitionSearch = "mien.worker.search.partition"
}

/// Attributes of spans. None is of a face, a probe or a match. Times are whole microseconds.
package enum SearchSpanAttribute: String, CaseIterable, Sendable {
    case answer = "mien.answer_us"
    case collection = "mien.collection"
    case compare = "mien.compare_us"
    case effort = "mien.effort"
    case flat = "mien.flat_us"
    case listsVisited = "mien.lists_visited"
    case matchLimit = "mien.k"
    case place = "mien.place"
    case plan = "mien.plan_us"
    case probeCount = "mien.probes"
    case queue = "mien.queue_us"
    case rank = "mien.rank_us"
    case rowsCompared = "mien.rows_compared"
    case rowsVisited = "mien.rows_visited"
    case scan = "mien.scan_us"
    case shard = "mien.shard"
    case shardCount = "mien.shards"
    case status = "mien.status"
}
