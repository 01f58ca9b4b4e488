import Glibc
import VectorMath

/// How arrivals lie in time.
package enum ArrivalProcess: String, Sendable, CaseIterable, Codable {
    /// One after the other at equal distances.
    case constant
    /// Independent of each other, as people are.
    case poisson
}

/// When the calls of an open-loop load begin, whatever became of earlier ones.
///
/// Times are a function of rate, process and seed; they do not depend on a clock, so that a call that could not begin
/// in time is late by a known amount.
package struct ArrivalSchedule: Sendable {
    /// Later than any load ends: an arrival that is further away is there.
    private static let latestNanoseconds = 9e18

    private let ratePerSecond: Double
    private let process: ArrivalProcess
    private let phase: Double
    private var random: SplitMix64
    private var number = 0
    private var lastSeconds = 0.0

    /// - Parameter phase: for constant arrivals, where in the first interval the first one is: 0 ..< 1.
    package init(ratePerSecond: Double, process: ArrivalProcess, seed: UInt64, phase: Double = 0) {
        precondition(ratePerSecond > 0 && ratePerSecond.isFinite, "arrivals without a rate")
        self.ratePerSecond = ratePerSecond
        self.process = process
        self.phase = phase
        random = SplitMix64(seed: seed)
    }

    /// Time of the next arrival from the start; never before the one that came before.
    package mutating func next() -> Duration {
        let seconds: Double
        switch process {
        case .constant:
            // From the number, not by adding up: no error grows.
            seconds = (Double(number) + phase) / ratePerSecond
        case .poisson:
            let uniform = (Double(random.next() >> 11) + 1) * 0x1p-53
            seconds = lastSeconds - log(uniform) / ratePerSecond
        }
        number += 1
        lastSeconds = seconds
        return .nanoseconds(Int64(min((seconds * 1e9).rounded(), Self.latestNanoseconds)))
    }
}
