package import ClusterModel
package import FaceModel

/// Decides which partition is read next to see whether it is sound: the one that was last found so the longest ago,
/// once that is a period ago. Pure: it knows no clock.
package struct VerificationSchedule: Sendable {
    /// Above zero.
    package let period: Duration

    package init(period: Duration) {
        precondition(period > .zero, "a period takes time")
        self.period = period
    }

    /// The partition whose turn it is; nil while it is none's.
    ///
    /// - Parameter verified: when each was last found sound; nil for never, which comes first. A time that has not come
    ///   yet is of a clock that was set back since, and counts as never.
    package func next(_ verified: [ShardID: Timestamp?], now: Timestamp) -> ShardID? {
        let known = verified.mapValues { time in time.flatMap { $0 <= now ? $0 : nil } }
        let oldest = known.min {
            ($0.value?.milliseconds ?? .min, $0.key) < ($1.value?.milliseconds ?? .min, $1.key)
        }
        guard let oldest else { return nil }
        guard let time = oldest.value else { return oldest.key }
        return Self.age(of: time, now: now) >= period ? oldest.key : nil
    }

    /// How long ago a partition was last found sound, as people are told.
    ///
    /// - Parameters:
    ///   - verified: nil for never. A time that has not come yet counts as never, as it does for whose turn it is.
    ///   - time: since which the partition is here: what counts where it was never read.
    package static func age(of verified: Timestamp?, heldFor time: Duration, now: Timestamp) -> Duration {
        guard let verified, verified <= now else { return time }
        return age(of: verified, now: now)
    }

    private static func age(of time: Timestamp, now: Timestamp) -> Duration {
        .milliseconds(now.milliseconds) - .milliseconds(time.milliseconds)
    }
}
