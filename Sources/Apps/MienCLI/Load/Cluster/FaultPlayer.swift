import LoadGenerator
import MienClient

/// Does to a cluster what a schedule of faults says, and notes how long each fault lasted.
struct FaultPlayer: Sendable {
    private static let recoveryLimit = Duration.seconds(60)

    let cluster: LoadCluster
    let collection: String
    /// Fails quickly, so that a node that hangs does not hold up the next question.
    let client: MienClient
    /// Whether the load ends early: then nothing more is broken, and what is broken comes back.
    let isStopped: @Sendable () -> Bool

    /// What came of the faults.
    struct Outcome: Sendable {
        var faults: [LoadReport.Fault] = []
        /// Nodes that did not come back.
        var problems: [String] = []
    }

    /// Plays the schedule to its end.
    ///
    /// - Parameter start: when the load begins.
    func play(_ schedule: FaultSchedule, from start: ContinuousClock.Instant) async -> Outcome {
        await withTaskGroup(of: (LoadReport.Fault, problem: String?).self) { group in
            var begun: [FaultSchedule.Node: (what: String, at: Duration)] = [:]
            for step in schedule.steps {
                await sleep(until: start + step.at)
                if isStopped(), begun[step.node] == nil { continue }
                let now = ContinuousClock.now - start
                switch step.action {
                case .kill:
                    cluster.kill(step.node)
                    begun[step.node] = ("\(step.node) killed", begun[step.node]?.at ?? now)
                case .stop:
                    cluster.stop(step.node)
                    begun[step.node] = ("\(step.node) stopped", now)
                case .start, .continue:
                    let fault = begun.removeValue(forKey: step.node) ?? ("\(step.node) down", now)
                    group.addTask {
                        let problem = await bringBack(step)
                        let span = LoadReport.Fault(
                            what: fault.what,
                            fromSeconds: fault.at / .seconds(1),
                            toSeconds: (ContinuousClock.now - start) / .seconds(1)
                        )
                        return (span, problem)
                    }
                }
            }
            var outcome = Outcome()
            for await (fault, problem) in group {
                outcome.faults.append(fault)
                if let problem { outcome.problems.append(problem) }
            }
            outcome.faults.sort { $0.fromSeconds < $1.fromSeconds }
            return outcome
        }
    }

    private func sleep(until instant: ContinuousClock.Instant) async {
        while !isStopped() {
            let now = ContinuousClock.now
            guard now < instant else { return }
            try? await Task.sleep(until: min(instant, now + .milliseconds(100)), tolerance: .zero)
        }
    }

    /// Starts or continues a node, and waits until every shard of the collection is served.
    ///
    /// - Returns: what went wrong; nil for nothing.
    private func bringBack(_ step: FaultSchedule.Step) async -> String? {
        if step.action == .start {
            do throws(CommandFailure) {
                try await cluster.start(step.node)
            } catch {
                return error.message
            }
        } else {
            cluster.continue(step.node)
        }
        let deadline = ContinuousClock.now + Self.recoveryLimit
        while ContinuousClock.now < deadline, !Task.isCancelled {
            if let info = try? await client.describe(collection), info.shards.allSatisfy({ $0.state == .serving }) {
                return nil
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
        return "not every shard was served within \(Self.recoveryLimit) after the \(step.node) came back"
    }
}
