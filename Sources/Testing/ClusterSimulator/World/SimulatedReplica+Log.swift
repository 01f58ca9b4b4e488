import ClusterModel
import ShardReplication

/// What a replica keeps of its log for others, by the rules of the real worker.
extension SimulatedReplica {
    /// Of an entry, in the log.
    static let entryByteCount = 100
    /// Most entries that are kept for another replica.
    private static let wantedCount = 1000
    /// How long after a restart nobody knows who wanted entries before: a run is short, and so is this.
    private static let recallTime = Duration.seconds(2)

    /// The replica is about to go by the log that its disk has.
    ///
    /// - Parameter length: entries that are always kept.
    mutating func beginLog(length: Int) {
        horizon = LogHorizon(
            keptByteCount: length * Self.entryByteCount,
            wantedByteCount: Self.wantedCount * Self.entryByteCount
        )
        for item in disk.entries { horizon.appended(item.sequence, byteCount: Self.entryByteCount) }
        hasFoundLog = !disk.entries.isEmpty
        forgetThrough = nil
        taken.removeAll()
    }

    /// A step of the log begins: what may be forgotten with it.
    ///
    /// - Parameters:
    ///   - age: of the process.
    ///   - forgetsCopies: the planted fault.
    mutating func begin(_ step: LogStep<SimulatedWrite>, age: Duration, forgetsCopies: Bool) {
        self.step = step
        guard let machine else { return }
        taken = taken.filter { node, sequence in machine.matched(of: node).map { $0 < sequence } ?? false }
        if let sequence = step.truncateAfter { horizon.truncated(after: sequence) }
        for item in step.append { horizon.appended(item.sequence, byteCount: Self.entryByteCount) }
        var wanted = [machine.wantedFrom].compactMap(\.self)
        if !forgetsCopies {
            wanted += copies.values.map(\.sequence) + outgoing.values.map(\.image.applied.sequence) + taken.values
        }
        // The entry itself is wanted, too: the next one is told by its epoch.
        let first = wanted.min().map { $0 - min($0, 1) }
        forgetThrough = horizon.forgettable(
            applied: machine.applied,
            wanted: hasFoundLog && age < Self.recallTime ? 0 : first
        )
    }

    /// The step under way is on disk, or the first of it.
    mutating func forget() {
        guard let sequence = forgetThrough else { return }
        disk.forget(through: sequence)
        horizon.forgot(through: sequence)
        forgetThrough = nil
    }
}
