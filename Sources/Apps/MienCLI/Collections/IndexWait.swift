import MienClient

/// Waits until a collection's index has taken in what was enrolled: no codebook is trained, none but the newest has
/// codes left, and what lists hold has stayed the same for a while.
struct IndexWait {
    private static let interval = Duration.milliseconds(500)

    /// How long the index must have stayed the same.
    let steadyTime: Duration
    /// Longest wait; nil for none.
    var limit: Duration?
    /// What to say when it was too long, such as "give it longer with --settle".
    var advice = ""

    /// - Parameter waits: called once, when there is something to wait for.
    /// - Returns: the collection as it was then, and the time from the call until it had become so.
    func run(
        for name: String,
        _ client: MienClient,
        waits: () -> Void = {}
    ) async throws(CommandFailure) -> (collection: CollectionInfo, time: Duration) {
        let start = ContinuousClock.now
        var unchangedSince = start
        var last: [UInt64] = []
        var isTold = false
        while true {
            let collection = try await calling { () async throws(MienClientError) in try await client.describe(name) }
            let state = collection.shards.flatMap { [$0.freshCount, UInt64($0.generation), $0.olderRowCount] }
            let now = ContinuousClock.now
            if state != last || Self.isAtWork(collection) { (last, unchangedSince) = (state, now) }
            if now - unchangedSince >= steadyTime { return (collection, unchangedSince - start) }
            if !isTold { waits() }
            isTold = true
            if let limit, now - start >= limit {
                throw CommandFailure(
                    .unavailable,
                    "the index of \(name) was not ready after \(NumberText.duration(limit)); \(advice), and see "
                        + "'mien collection describe \(name)' for what it is doing"
                )
            }
            do { try await Task.sleep(for: Self.interval) } catch {
                throw CommandFailure(.unavailable, "the wait for the index was stopped")
            }
        }
    }

    private static func isAtWork(_ collection: CollectionInfo) -> Bool {
        collection.training == .running || collection.trainingUnderWay != nil
            || collection.shards.contains { $0.olderGeneration != 0 || $0.state != .serving }
    }
}
