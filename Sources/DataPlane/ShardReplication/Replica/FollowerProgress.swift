/// What a primary knows of one other replica, all of it in the primary's epoch.
struct FollowerProgress: Hashable, Sendable {
    /// The primary's clock when it began to know of this replica. What was asked before may have been answered by
    /// another one of its worker, whose disk is gone.
    var began: Duration
    /// The replica's log agrees with the primary's up to here, durably.
    var matched: UInt64 = 0
    /// The primary's clock when it heard so; nil before the first time.
    var matchedSince: Duration?
    /// And is applied up to here.
    var applied: UInt64 = 0
    /// Where its log may agree, by its last mismatch.
    var agreed: UInt64 = 0
    /// The first entry that has not been sent.
    var next: UInt64
    /// As last told.
    var toldCommitted: UInt64 = 0
    var lastSent: Duration?
    /// When the oldest request was sent that may still be answered.
    var oldestUnanswered: Duration?
    /// When it last answered; at first, when the primary began to wait for it.
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
    /// Its disk went back: it is to leave the in-sync set, unless it has everything again before.
    var hasLost = false
}
