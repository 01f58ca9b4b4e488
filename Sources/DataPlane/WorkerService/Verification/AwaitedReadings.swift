import Logging
import Synchronization
import Threads
import WireProtocol
import WireTransport

/// Readings of whole replicas that somebody asked for and waits for: two at once at most, each on a thread of its own
/// and in one read transaction. Whoever asks for a third is told `overloaded`.
///
/// Callers that want one replica read share a reading. Who comes while it is under way hears what it found when it has
/// every write that was there by then, else what the next one finds, which all of them share.
final class AwaitedReadings: Sendable {
    private struct Caller: Sendable {
        let call: ServerCall
        /// What a reading has to reach to be an answer; 0 for one that began after the call had come.
        var sequence: UInt64
    }

    static let limit = 2

    /// Of replicas that are being read, each by one thread, which holds the replica.
    private let callers = Mutex<[ObjectIdentifier: [Caller]]>([:])
    private let threads: ThreadSource
    private let logger: Logger

    init(threads: ThreadSource, logger: Logger) {
        self.threads = threads
        self.logger = logger
    }

    /// Answers the call once the replica has been read.
    ///
    /// - Throws: `overloaded`; why the replica cannot be read.
    func read(_ replica: Replica, for call: ServerCall) throws(WireStatus) {
        let caller = Caller(call: call, sequence: try replica.committedSequence())
        let key = ObjectIdentifier(replica)
        let isFirst = try callers.withLock { (callers) throws(WireStatus) -> Bool in
            if callers[key] != nil {
                callers[key]?.append(caller)
                return false
            }
            guard callers.count < Self.limit else { throw Refusal.tooManyReadings(limit: Self.limit) }
            callers[key] = [caller]
            return true
        }
        guard isFirst else { return }
        do throws(ThreadRefusal) {
            try threads.start(name: "verify", priority: .background) { self.run(replica) }.detach()
        } catch {
            let refused = callers.withLock { $0.removeValue(forKey: key) } ?? []
            for caller in refused { caller.call.fail(Refusal.noThread(error)) }
        }
    }

    /// Reads until nobody waits for another reading.
    private func run(_ replica: Replica) {
        let key = ObjectIdentifier(replica)
        var isWanted = true
        while isWanted {
            callers.withLock { callers in
                for index in callers[key, default: []].indices { callers[key]?[index].sequence = 0 }
            }
            logger.debug("all of a replica is read, as was asked for", metadata: replica.logMetadata)
            var isGivenUp = false
            let result = Result { () throws(WireStatus) in
                try replica.verify {
                    isGivenUp = isGivenUp || !self.isAwaited(key)
                    return isGivenUp
                }
            }
            isWanted = answer(replica, result, isGivenUp: isGivenUp)
        }
    }

    private func isAwaited(_ key: ObjectIdentifier) -> Bool {
        callers.withLock { $0[key, default: []].contains { !$0.call.isCancelled } }
    }

    /// Answers whom the result is an answer to.
    ///
    /// - Returns: whether others wait for another reading.
    private func answer(
        _ replica: Replica,
        _ result: Result<ReplicaVerified, WireStatus>,
        isGivenUp: Bool
    ) -> Bool {
        let key = ObjectIdentifier(replica)
        func isAnswered(_ caller: Caller) -> Bool {
            switch result {
            case .success(let verified): verified.damage != nil || verified.sequence >= caller.sequence
            case .failure: !isGivenUp
            }
        }
        let (answered, isWanted) = callers.withLock { callers in
            let all = callers[key] ?? []
            let others = all.filter { !$0.call.isCancelled && !isAnswered($0) }
            callers[key] = others.isEmpty ? nil : others
            return (all.filter { $0.call.isCancelled || isAnswered($0) }, !others.isEmpty)
        }
        for caller in answered {
            switch result {
            case .success(let verified): caller.call.reply(verified)
            case .failure where isGivenUp:
                let isLate = caller.call.deadline.hasPassed
                caller.call.fail(Refusal.readEnded(replica.shard, isFenced: false, isCancelled: !isLate))
            case .failure(let status): caller.call.fail(status)
            }
        }
        return isWanted
    }
}
