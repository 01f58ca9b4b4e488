package import ClusterModel
package import WireProtocol

/// One write of a client: which shards get which rows, what each is told of the write's age, when it all begins anew by
/// a newer map, and what the client is told in the end.
///
/// A write goes in rounds. A round divides its rows over the shards of one shard map; each shard is asked at its
/// primary by ``PrimaryAttempts``, always under the client's key. When all parts have ended, so has the round.
///
/// Without clock, connections and tasks: whoever drives it does what it says, and tells it what came of that. Times are
/// spans since the request came.
package struct WriteStateMachine: Sendable {
    /// What came of a round.
    package enum Outcome: Hashable, Sendable {
        /// Every shard has its rows durably.
        ///
        /// - Parameter sequences: for the token, by index of the shard.
        case acknowledged(sequences: [UInt32: UInt64])
        /// - Parameters:
        ///   - status: what the client is told unless it begins anew; see ``told(_:)``.
        ///   - beginsAnew: others have taken a shard's place: another round by the newest map is to be begun.
        case failed(WireStatus, beginsAnew: Bool)
    }

    private struct Part: Sendable {
        enum End: Hashable, Sendable {
            case acknowledged(rowCount: Int, sequence: UInt64)
            case failed(ShardFailure, isReplaced: Bool)
        }

        let batch: BatchPart
        var attempts: PrimaryAttempts
        /// Whether what is asked is the first attempt of the whole write.
        var isFirstAttempt = false
        var end: End?
    }

    /// As the write came.
    private let age: Duration
    private let options: RouterOptions
    private var collection = ""
    private var parts: [Part] = []
    private var rowCount = 0
    /// When the shards have to have answered.
    private var end = Duration.zero
    private var roundCount = 0
    /// Shards that have been asked.
    private var asked: Set<ShardID> = []
    /// Whether a round that is over may have changed something.
    private var hadEffect = false
    package private(set) var lost = LostWorkers()

    /// - Parameter age: time since the first attempt under the write's key; zero when this is the first.
    package init(age: Duration, options: RouterOptions) {
        self.age = age
        self.options = options
    }

    /// Workers were lost under the write when it came before, all of them at once. Before its first round.
    package mutating func suspect() { lost = LostWorkers(isSuspected: true) }

    /// Whether nothing of it was done, and nothing will be, as far as rounds that are over tell.
    package var hasNoEffect: Bool { !hadEffect }

    /// What a client is told of a write that failed so.
    package func told(_ status: WireStatus) -> WireStatus {
        var status = status
        status.hasNoEffect = hasNoEffect
        return status
    }

    /// - Parameters:
    ///   - parts: rows by shard, of one map.
    ///   - rowCount: rows of the write, those that no shard gets among them.
    ///   - end: when the shards have to have answered.
    package mutating func beginRound(_ parts: [BatchPart], rowCount: Int, collection: String, end: Duration) {
        self.parts = parts.map {
            Part(batch: $0, attempts: PrimaryAttempts($0.placement, end: end, options: options))
        }
        (self.rowCount, self.collection, self.end) = (rowCount, collection, end)
        roundCount += 1
    }

    /// What to do next for a part of the round.
    ///
    /// - Parameter mayRetry: as for ``PrimaryAttempts/event(_:now:lost:mayRetry:)``.
    package mutating func event(
        _ event: PrimaryAttempts.Event,
        ofPart number: Int,
        now: Duration,
        mayRetry: (StatusCode) -> Bool
    ) -> PrimaryAttempts.Action {
        let action = parts[number].attempts.event(event, now: now, lost: &lost, mayRetry: mayRetry)
        switch action {
        case .ask(let target):
            let isFirst = asked.insert(target.placement.shard).inserted && roundCount == 1
            parts[number].isFirstAttempt = isFirst && age == .zero
        case .end(let failure, let isReplaced): parts[number].end = .failed(failure, isReplaced: isReplaced)
        case .look, .wait: break
        }
        return action
    }

    /// What the primary of a part that is asked now is told: time since the first attempt that may have reached a
    /// shard; zero when this is the first.
    ///
    /// - Parameter now: when the request is made, which may have waited for its turn.
    package func age(ofPart number: Int, now: Duration) -> Duration {
        parts[number].isFirstAttempt ? .zero : age + now
    }

    package func isOvertaken(part number: Int, by newest: ShardPlacement?) -> Bool {
        parts[number].attempts.isOvertaken(by: newest)
    }

    /// The shard has the rows of a part durably.
    ///
    /// - Parameter rowCount: outcomes that it answered.
    package mutating func acknowledged(part number: Int, rowCount: Int, sequence: UInt64) {
        parts[number].end = .acknowledged(rowCount: rowCount, sequence: sequence)
    }

    /// The part failed. One that has not ended by itself was refused before anybody was asked for it.
    package mutating func refused(part number: Int, _ failure: ShardFailure) {
        guard parts[number].end == nil else { return }
        parts[number].end = .failed(failure, isReplaced: false)
    }

    /// All parts have ended.
    ///
    /// - Parameter isCancelled: nobody waits for it any more.
    package mutating func endRound(now: Duration, isCancelled: Bool = false) -> Outcome {
        let hadEffectBefore = hadEffect
        var sequences: [UInt32: UInt64] = [:]
        var failures: [(part: BatchPart, failure: ShardFailure)] = []
        var mismatch: WireStatus?
        for part in parts {
            switch part.end {
            case .acknowledged(let rowCount, let sequence):
                hadEffect = true
                sequences[part.batch.placement.shard.index] = sequence
                if rowCount != part.batch.positions.count { mismatch = mismatch ?? self.mismatch(part, rowCount) }
            case .failed(let failure, _):
                hadEffect = hadEffect || failure.mayHaveBeenDone
                failures.append((part.batch, failure))
            case nil: preconditionFailure("a round ends when all of its parts have ended")
            }
        }
        if mismatch == nil, failures.isEmpty { return .acknowledged(sequences: sequences) }
        let isReplaced = parts.contains { if case .failed(_, isReplaced: true) = $0.end { true } else { false } }
        return .failed(
            mismatch ?? status(of: failures, hadEffectBefore: hadEffectBefore),
            beginsAnew: isReplaced && now < end && !isCancelled
        )
    }

    // MARK: What the client is told

    private func mismatch(_ part: Part, _ rowCount: Int) -> WireStatus {
        WireStatus(
            .internalError,
            "Shard \(part.batch.placement.shard.index) of '\(collection)' answered \(rowCount) rows of "
                + "\(part.batch.positions.count)."
        )
    }

    private func status(
        of failures: [(part: BatchPart, failure: ShardFailure)],
        hadEffectBefore: Bool
    ) -> WireStatus {
        let refused = failures.filter(\.failure.isRefusal)
        if let first = refused.first {
            let status = first.failure.status
            let rowText = "\(refused.reduce(0) { $0 + $1.part.positions.count }) of \(rowCount) rows"
            let mayBeDone =
                hadEffectBefore
                || refused.contains { $0.failure.mayHaveBeenDone || $0.failure.status.code == .keyTooOld }
            let outcome =
                mayBeDone ? "It is not known whether an earlier attempt did anything for" : "Nothing was done for"
            let rest =
                if refused.count < failures.count {
                    "; other shards may have done their part."
                } else {
                    parts.count > refused.count ? "; the other shards have done theirs." : "."
                }
            return WireStatus(
                status.code,
                "Collection '\(collection)': shard \(first.failure.placement.shard.index) refused the write "
                    + "(\(first.failure.explanation)). \(outcome) \(rowText)\(rest)",
                retryAfterMilliseconds: status.retryAfterMilliseconds
            )
        }
        let positions = failures.flatMap(\.part.positions).sorted()
        let listed = positions.prefix(8).map(String.init).joined(separator: ", ")
        let rest = positions.count - min(positions.count, 8)
        let outcome =
            hadEffectBefore || failures.contains(where: \.failure.mayHaveBeenDone)
            ? "It is not known whether \(positions.count) of \(rowCount) rows were written"
            : "Nothing was done for \(positions.count) of \(rowCount) rows"
        let code = StatusCode.ofAll(failures.map(\.failure.status.code))
        return WireStatus(
            code,
            "Collection '\(collection)': \(parts.count - failures.count) of \(parts.count) shards have acknowledged; "
                + "\(ShardFailureText.missing(failures.map(\.failure))). \(outcome) (counted from 0: "
                + "\(listed)\(rest > 0 ? " and \(rest) more" : "")); \(Self.condition(code))send the same batch again "
                + "under the same idempotency key, which writes nothing twice.",
            retryAfterMilliseconds: failures.map(\.failure.status.retryAfterMilliseconds).max() ?? 0
        )
    }

    /// When the same batch is to be sent again, where not at once.
    private static func condition(_ code: StatusCode) -> String {
        switch code {
        case .cancelled: "the call was cancelled: if it is to be done all the same, "
        case _ where code.retry == .doNotRetry: "when that is mended, "
        default: ""
        }
    }
}
