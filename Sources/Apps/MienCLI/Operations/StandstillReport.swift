import MienClient

/// What of operations has not got on for too long, as sentences: each with what it waits for.
///
/// What is paused is not expected to get on, nor is a step that waits for others' copies.
enum StandstillReport {
    /// As long as until the coordinators' alert.
    private static let patience = Duration.seconds(60)
    /// Sentences about one operation.
    private static let sentenceLimit = 5

    /// Of all operations, each sentence with its operation's name.
    static func sentences(_ overview: OperationOverview) -> [String] {
        overview.operations.flatMap { operation in
            sentences(operation).map { "operation \(operation.id): \($0)" }
        } + sentences(overview.replacements).map { "replacement of lost copies: \($0)" }
    }

    /// Of one operation.
    static func sentences(_ operation: OperationInfo) -> [String] {
        guard operation.state == .running || operation.state == .cancelling else { return [] }
        if let rollout = operation.rollout {
            return rollout.silence < patience
                ? [] : ["codebook \(rollout.generation) has not got on " + clause(rollout.silence, rollout.waitsFor)]
        }
        guard operation.standstill < patience else {
            let reason = operation.steps.lazy.filter { !$0.state.hasEnded }.compactMap(\.waitsFor).first
            return ["nothing of it has got on " + clause(operation.standstill, reason ?? operation.note)]
        }
        return sentences(operation.steps)
    }

    /// Of steps, under way or being taken back.
    static func sentences(_ steps: [OperationInfo.Step]) -> [String] {
        let still = steps.filter { ($0.state == .running || $0.state == .undoing) && $0.silence >= patience }
        let sentences = still.prefix(sentenceLimit).map {
            "\($0.collection)/\($0.shardIndex) has not got on " + clause($0.silence, $0.waitsFor)
        }
        guard still.count > sentenceLimit else { return sentences }
        return sentences + ["nor have \(NumberText.counted(still.count - sentenceLimit, "other step")) of it"]
    }

    private static func clause(_ silence: Duration, _ reason: String?) -> String {
        "for \(NumberText.duration(silence))" + (reason.map { ": \($0)" } ?? "")
    }
}
