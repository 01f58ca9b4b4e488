import Etcd

extension EtcdMetadataStore {
    /// Holds a lease of etcd's to which the candidate's records are bound, and tries for the one that only one may
    /// have: at every third of the lease's time, and at once after every change of the store, which may be the end of
    /// the holder's.
    package func compete(as candidate: LeaseCandidate, _ stand: @escaping @Sendable (LeaseStanding) -> Void) async {
        let (turns, turn) = AsyncStream.makeStream(of: Void.self, bufferingPolicy: .bufferingNewest(1))
        var competition = Competition()
        await withTaskGroup(of: Void.self) { group in
            group.addTask { await self.follow { _ in turn.yield() } }
            group.addTask {
                while !Task.isCancelled {
                    turn.yield()
                    try? await Task.sleep(for: self.leaseTime / 3)
                }
            }
            var standing: LeaseStanding?
            for await _ in turns {
                let now = await takeTurn(&competition, candidate)
                if Task.isCancelled { break }
                if now != standing { stand(now) }
                standing = now
            }
            group.cancelAll()
        }
        guard let lease = competition.lease else { return }
        // This task is cancelled, and its calls would be; the lease ends by itself when this one does not arrive.
        await Task { _ = try? await client.revokeLease(lease) }.value
    }

    /// What is remembered between two turns.
    private struct Competition {
        var lease: Int64?
        /// Until when etcd cannot have ended the lease.
        var sureUntil = ContinuousClock.now
        var fence: MetadataCondition?
        /// What this competitor last put under the key of the lease, or tried to.
        var value: [UInt8]?
    }

    private func takeTurn(_ state: inout Competition, _ candidate: LeaseCandidate) async -> LeaseStanding {
        let asked = ContinuousClock.now
        let mayHold = candidate.mayHold()
        do throws(EtcdError) {
            if !mayHold, state.value != nil, let lease = state.lease {
                // All that is bound to it goes with it; its presence comes back with the next.
                try await client.revokeLease(lease)
                state = Competition()
            }
            try await renew(&state, candidate)
            state.sureUntil = asked + leaseTime
            guard mayHold else { return .waiting }
            state.fence = try await hold(&state, candidate)
            return state.fence.map { .held(fence: $0) } ?? .waiting
        } catch {
            // A lease that is still running is still held.
            if let fence = state.fence, ContinuousClock.now < state.sureUntil { return .held(fence: fence) }
            state.fence = nil
            return .unreachable(reason: "\(error).")
        }
    }

    /// Keeps the lease alive, or gets a new one and binds the candidate's presence to it.
    private func renew(_ state: inout Competition, _ candidate: LeaseCandidate) async throws(EtcdError) {
        if let lease = state.lease {
            if try await client.keepLeaseAlive(lease) { return }
            state = Competition()
        }
        let lease = try await client.grantLease(seconds: leaseTime.components.seconds)
        let presence = candidate.presence
        let sealed = SealedValue.seal(key: presence.key, presence.value)
        _ = try await client.commit([], [.put(storedKey(presence.key), sealed, lease: lease)])
        state.lease = lease
    }

    /// The fence of the record that one may have: nil when it is another's.
    private func hold(
        _ state: inout Competition,
        _ candidate: LeaseCandidate
    ) async throws(EtcdError) -> MetadataCondition? {
        let key = storedKey(candidate.leaseKey)
        if let entry = try await client.entry(key) {
            // It may be one whose putting was not heard of.
            guard let value = state.value, entry.value == value else { return nil }
            return .unchanged(
                key: candidate.leaseKey,
                version: MetadataRevision(UInt64(clamping: entry.modRevision))
            )
        }
        let value = SealedValue.seal(key: candidate.leaseKey, candidate.leaseValue())
        state.value = value
        switch try await client.commit([.absent(key)], [.put(key, value, lease: state.lease)]) {
        case .succeeded(let revision):
            return .unchanged(key: candidate.leaseKey, version: MetadataRevision(UInt64(clamping: revision)))
        case .failed:
            state.value = nil
            return nil
        }
    }
}
