import FaceModel

/// Names one write, so that it is done once however often it is sent, and told again what came of it.
///
/// A call makes one for itself and keeps it while it tries again. Who wants to try again after the call has thrown
/// without saying that it ``MienClientError/hasNoEffect`` gives both calls the same key, with the same content: under
/// a key of its own the second would be another write, and could undo what somebody wrote in between. The cluster
/// remembers keys for about a day; what it may have forgotten it answers with `keyTooOld`, and other content under a
/// key that it knows with `keyReused`.
public struct WriteKey: Hashable, Sendable {
    let value: IdempotencyKey
    private let begin: ContinuousClock.Instant

    /// The key of a write that begins now.
    public init() {
        self.init(.random(), age: .zero)
    }

    /// A key that was kept outside of this process.
    ///
    /// - Parameters:
    ///   - high, low: 128 bits that no other write has.
    ///   - age: time since it was made, 0 or more.
    public init(high: UInt64, low: UInt64, age: Duration) {
        self.init(IdempotencyKey(high: high, low: low), age: age)
    }

    private init(_ value: IdempotencyKey, age: Duration) {
        self.value = value
        begin = ContinuousClock.now - max(.zero, age)
    }

    public var high: UInt64 { value.high }
    public var low: UInt64 { value.low }

    /// Time since it was made.
    var age: Duration { ContinuousClock.now - begin }
}
