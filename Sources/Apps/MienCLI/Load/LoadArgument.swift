import ArgumentParser
import LoadGenerator
import MienClient

/// Reads the options of a load; what is wrong is told in one sentence.
enum LoadArgument {
    private static func read<Value>(_ body: () throws(LoadTextError) -> Value) throws -> Value {
        do throws(LoadTextError) {
            return try body()
        } catch {
            throw ValidationError(error.description.prefix(1).uppercased() + error.description.dropFirst() + ".")
        }
    }

    @Sendable static func duration(_ text: String) throws -> Duration {
        try read { () throws(LoadTextError) in try LoadText.duration(text) }
    }

    @Sendable static func mix(_ text: String) throws -> LoadMix {
        try read { () throws(LoadTextError) in try LoadMix(text) }
    }

    @Sendable static func streams(_ text: String) throws -> VideoStreams {
        try read { () throws(LoadTextError) in try VideoStreams(text) }
    }

    @Sendable static func objective(_ text: String) throws -> LatencyObjective {
        try read { () throws(LoadTextError) in try LatencyObjective(text) }
    }

    @Sendable static func ramp(_ text: String) throws -> RampPlanner {
        try read { () throws(LoadTextError) in try RampPlanner(text) }
    }

    @Sendable static func cluster(_ text: String) throws -> ClusterPlan {
        try read { () throws(LoadTextError) in try ClusterPlan(text) }
    }

    /// Read with the cluster that they are for, and not where the option is: the sentence says which it is.
    static func faults(_ text: String, workerCount: Int) throws -> FaultSchedule {
        do throws(LoadTextError) {
            return try FaultSchedule(text, workerCount: workerCount)
        } catch {
            throw ValidationError("--fault cannot be played: \(error.description).")
        }
    }

    @Sendable static func arrivals(_ text: String) throws -> ArrivalProcess {
        guard let process = ArrivalProcess(rawValue: text) else {
            throw ValidationError("'\(text)' is no way to arrive; use poisson or constant.")
        }
        return process
    }

    /// Calls a second, or a share of the rate that a ramp finds.
    enum Rate: Sendable {
        case perSecond(Double)
        case shareOfFound(Double)
    }

    @Sendable static func rate(_ text: String) throws -> Rate {
        if text.hasSuffix("%") {
            guard let percent = Double(text.dropLast()), percent >= 0.001, percent <= 200 else {
                throw ValidationError("'\(text)' is no share of a found rate; write 70%, from 0.001% to 200%.")
            }
            return .shareOfFound(percent / 100)
        }
        return .perSecond(try read { () throws(LoadTextError) in try LoadText.rate(text) })
    }
}
