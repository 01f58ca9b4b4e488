import ClusterModel
import ClusterState
import Logging
import Synchronization
import WireTransport

/// Workers that are not heard of any more are called, so that people are told why.
///
/// Every coordinator calls those that are silent to it: each tells what it sees itself, and the way to a worker may be
/// another one from elsewhere. The calls run beside everything else, and nothing waits for them.
extension ClusterController {
    /// Calls those who are silent, until the task is cancelled.
    func callSilentWorkers() async {
        await withDiscardingTaskGroup { group in
            while !Task.isCancelled {
                for (call, address) in callsToBegin() { group.addTask { await self.perform(call, at: address) } }
                try? await Task.sleep(for: options.tick)
            }
        }
    }

    private func callsToBegin() -> [(SilenceLedger.Call, NodeAddress)] {
        let now = now
        return state.withLock { state in
            // Who was not heard by a coordinator that stood still may be there.
            guard state.watch.isSettled(now: now) else { return [] }
            let metadata = state.records.metadata
            let silent = metadata.workers.keys.filter {
                metadata.standing(of: $0) != .decommissioned && !state.membership.liveness(of: $0, now: now).isLive
            }
            return state.silences.callsToBegin(silent: Set(silent), now: now).compactMap { call in
                metadata.workers[call.worker].map { (call, $0) }
            }
        }
    }

    private func perform(_ call: SilenceLedger.Call, at address: NodeAddress) async {
        let worker = call.worker
        let cause = await clients.silenceCause(of: worker, at: address, on: group, timeout: options.signTimeout)
        if Task.isCancelled { return }
        let now = now
        let (isNew, silence) = state.withLock { state in
            (
                state.silences.ended(call, cause, now: now),
                state.membership.liveness(of: worker, now: now).silence
            )
        }
        guard isNew, let clause = cause.clause else { return }
        logger.warning(
            "a worker is silent; \(clause)",
            metadata: [
                "worker": "\(worker)", "address": "\(address)",
                "silent": "\(silence.map(String.init(describing:)) ?? "since this coordinator's start")",
            ]
        )
    }
}
