/// What a primary knows of one other replica, all of it in the primary's epoch.
struct FollowerProgress: Hashable, Sendable {
    /// The primary's clock when it began to know of this replica. What was asked before may have been answered by
    /// another one of its worker, whose disk is gone.
    var began: Duration
    /// The version of the group by which the primary began to know of it as what it is.
    let memberSince: UInt64
    /// That of the latest group that the replica is known to go by.
    var version: UInt64 = 0
    /// The replica's log agrees with the primary's up to here, durably.
    var matched: UInt64 = 0
    /// The primary's clock when it heard so; nil before the first time.
    var matchedSince: Duration?
    /// And is applied up to here.
    var applied: UInt64 = 0
    /// Where its log may agree, by its last mismatch.
    var agreed: UInt64 = 0
    /// What it had said to have before the primary began to wait for its word, or was known to have as a founder; 0
    /// once it has said what it has. The log is kept for it by that, and nothing else goes by it.
    var had: UInt64 = 0
    /// The first entry that has not been sent.
    private(set) var next: UInt64
    /// What was sent since ``next`` last went back, and is not known to be there, in order.
    private var underWay: [Sending] = []
    private(set) var underWayByteCount = 0
    /// Nothing was heard of it since what it did not answer was sent again.
    var isUnanswered = false
    /// As last told.
    var toldCommitted: UInt64 = 0
    var lastSent: Duration?
    /// When the oldest request was sent that may still be answered.
    var oldestUnanswered: Duration?
    /// When it last answered; at first, when the primary began to wait for it. Later by the time that the primary stood
    /// still since.
    var lastHeard: Duration
    /// The primary's clock when it sent the last request that was answered.
    var confirmed: Duration?
    /// The replica's clock when it answered that.
    var replied: Duration?
    /// Entries for it are being read from disk.
    var isLoading = false
    /// The log no longer has what it needs.
    var needsCopy = false
    /// What it has applied is in the primary's log: it knows of nothing that the primary lacks.
    var hasAgreed = false
    /// In sync since the epoch began: it had everything that the primary had applied by then.
    var isFounder = false
    /// Its disk takes more than what is in the log already.
    var hasRoom = true
    /// Its disk went back: it is to leave the in-sync set, unless it has everything again before. Of a learner that has
    /// applied what the primary lacks: that this was told.
    var hasLost = false

    /// It goes by a group that has it as a member since no earlier than the primary knows. Its worker obeys no order
    /// any more to remove what an earlier group had left out.
    var isAware: Bool { version >= memberSince }

    /// The entry from which on it wants the log, that one among them, since the next one is told by its epoch; nil when
    /// it is not known to want any.
    var wantedFrom: UInt64? {
        // What a copy brings it needs no log for.
        let sequence = matched > 0 ? matched : agreed > 0 && !needsCopy ? agreed : had
        return sequence > 0 ? sequence : nil
    }

    /// The entries of one message.
    private struct Sending: Hashable, Sendable {
        var last: UInt64
        var byteCount: Int
    }

    init(began: Duration, memberSince: UInt64, next: UInt64) {
        self.began = began
        self.memberSince = memberSince
        self.next = next
        lastHeard = began
    }

    /// So much of the time until now does not count as its silence.
    mutating func countLess(_ time: Duration, now: Duration) { lastHeard = min(now, lastHeard + time) }

    mutating func sent(through last: UInt64, byteCount: Int) {
        next = max(next, last + 1)
        underWay.append(Sending(last: last, byteCount: byteCount))
        underWayByteCount += byteCount
    }

    /// It has what was sent up to ``matched``.
    mutating func arrived() {
        next = max(next, matched + 1)
        guard let first = underWay.first, first.last <= matched else { return }
        underWay.removeAll { $0.last <= matched }
        underWayByteCount = underWay.reduce(0) { $0 + $1.byteCount }
    }

    /// What was sent from there on counts as lost.
    mutating func sendAgain(from sequence: UInt64) {
        next = sequence
        underWay.removeAll()
        underWayByteCount = 0
    }
}
