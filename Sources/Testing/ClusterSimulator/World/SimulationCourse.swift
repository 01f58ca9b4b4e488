/// What the faults of a run are aimed at, and what its replicas are without. Every promise is kept on every course.
package struct SimulationCourse: Hashable, Sendable, CustomStringConvertible {
    package enum Aim: String, CaseIterable, Sendable {
        /// At nothing: which faults there are is drawn.
        case anything
        /// The primary is cut off for longer than a lease lasts: with another replica, or alone when it has begun anew.
        case divisions
        /// A replica joins, and in this moment the primary changes and others die.
        case upheavals
        /// Codebooks come, and the next ones, while everything else goes on.
        case rollouts
        /// Controllers level workers and split shards by themselves, and operators pin replicas meanwhile.
        case policies
        /// Disks fail calls, with what was under way there or not; power is cut for several workers in one instant;
        /// copies come in parts.
        case disks
        /// Clients write through coordinators, which have older maps, die in the midst of writes, and are cut off.
        case routers
        /// What workers are to remove they are told a second time, long after: replicas have come back by then.
        case orders
        /// Replicas prove damaged, one of a shard at a time, and controllers have them made anew.
        case damage
    }

    package var aim = Aim.anything
    /// No disk goes back to an earlier state, and nobody looks whether one did: those checks find what other bugs leave
    /// behind, too.
    package var trustsDisks = false

    package init(aim: Aim = .anything, trustsDisks: Bool = false) {
        self.aim = aim
        self.trustsDisks = trustsDisks
    }

    /// In the order in which a bug is looked for.
    package static let all = [false, true].flatMap { trustsDisks in
        Aim.allCases.map { SimulationCourse(aim: $0, trustsDisks: trustsDisks) }
    }

    /// By which the command line is told of it.
    var options: [String] {
        var words: [String] = []
        if aim != .anything { words += ["--aim", aim.rawValue] }
        if trustsDisks { words.append("--trust-disks") }
        return words
    }

    package var description: String { trustsDisks ? "\(aim.rawValue), disks trusted" : aim.rawValue }
}
