package import ClusterModel
package import WireProtocol

/// Where a shard's primary is, or another replica, as far as is known.
package struct ShardPlace: Hashable, Sendable {
    package let placement: ShardPlacement
    package let worker: NodeID
    package let address: NodeAddress?
    package let presence: WorkerPresence

    /// - Parameter worker: the shard's primary when it is nil.
    package init(_ placement: ShardPlacement, worker: NodeID? = nil, address: NodeAddress?, presence: WorkerPresence) {
        self.placement = placement
        self.worker = worker ?? placement.primary
        self.address = address
        self.presence = presence
    }

    package func failure(_ status: WireStatus) -> ShardFailure {
        ShardFailure(placement: placement, worker: worker, address: address, presence: presence, status: status)
    }
}

/// Who is asked for a shard, and until when. Times are spans since the request came.
package struct ShardTarget: Hashable, Sendable {
    package let place: ShardPlace
    /// When the shards have to have answered.
    private let end: Duration
    /// Until when a worker is asked that is known to be away.
    private let graceEnd: Duration

    package init(_ place: ShardPlace, end: Duration, graceEnd: Duration) {
        self.place = place
        self.end = end
        self.graceEnd = graceEnd
    }

    package var placement: ShardPlacement { place.placement }
    package var worker: NodeID { place.worker }

    /// When its answer is waited for no longer: a connection attempt to a host that is gone would take all the time
    /// there is.
    package var deadline: Duration { place.presence.isKnownAbsent ? min(end, graceEnd) : end }

    /// Why it is not asked at all; nil when it is.
    func obstacle(_ lost: LostWorkers) -> WireStatus? {
        guard place.address != nil else {
            return WireStatus(.unavailable, "No worker is known that holds the shard.").withoutEffect
        }
        return lost.refusal?.withoutEffect
    }

    /// What an attempt's failure is to be taken for.
    func failure(_ status: WireStatus, now: Duration) -> ShardFailure {
        var status = status
        if place.presence.isKnownAbsent, status.code == .deadlineExceeded, now < end { status.code = .unavailable }
        return place.failure(status)
    }
}
