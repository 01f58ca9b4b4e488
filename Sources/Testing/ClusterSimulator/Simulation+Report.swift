import ShardReplication

/// What to tell of a run that broke a promise.
extension Simulation {
    /// Plays the run again, with its trace; without what the broken promise does not need, unless it is a cell of the
    /// crash matrix.
    package var command: String {
        var words = ["mien-simulator"]
        if let cell = settings.cell, settings.fault == nil {
            words += ["matrix", "--seed", "\(seed)"]
            words += cell.options
            words += ["--trace", "100"]
        } else {
            words += ["replay", "\(seed)"]
            words += settings.course.options
            if let bug = settings.bug?.rawValue ?? settings.fault?.rawValue { words += ["--bug", bug] }
            words.append("--shrink")
        }
        return words.joined(separator: " ")
    }

    /// How to play it again, and the last lines of the trace of its shrunk run; takes as long as some thirty runs.
    package func report(lines: Int = 40) -> String {
        let outcome = shrunk().run(keepsTrace: true)
        let violation = outcome.violation?.description ?? "every promise was kept"
        return (["\(command): \(violation)"] + outcome.trace.suffix(lines)).joined(separator: "\n")
    }
}
