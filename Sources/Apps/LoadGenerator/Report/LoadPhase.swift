/// A part of a load between faults, or during one, and its figures.
package struct LoadPhase: Sendable, Equatable {
    package var name: String
    package var fromSeconds: Double
    package var toSeconds: Double
    package var isFault: Bool
    package var figures: CallFigures
}

extension LoadReport {
    /// The measured time cut at the faults, to whole windows; empty without faults.
    package var phases: [LoadPhase] {
        guard !faults.isEmpty else { return [] }
        let window = series.windowSeconds
        let begin = load.warmUpSeconds
        let end = load.warmUpSeconds + load.durationSeconds
        var phases: [LoadPhase] = []
        var position = begin
        func append(_ name: String, to next: Double, isFault: Bool) {
            guard next > position + 1e-9 else { return }
            phases.append(
                LoadPhase(
                    name: name,
                    fromSeconds: position,
                    toSeconds: next,
                    isFault: isFault,
                    figures: series.figures(from: position, to: next)
                )
            )
            position = next
        }
        // Faults that overlap are one phase.
        var spans: [(from: Double, to: Double, what: String)] = []
        for fault in faults.sorted(by: { $0.fromSeconds < $1.fromSeconds }) {
            let from = (fault.fromSeconds / window).rounded(.down) * window
            let to = (fault.toSeconds / window).rounded(.up) * window
            if let last = spans.last, from < last.to {
                spans[spans.count - 1].to = max(last.to, to)
                spans[spans.count - 1].what += ", " + fault.what
            } else {
                spans.append((from, to, fault.what))
            }
        }
        for (number, span) in spans.enumerated() {
            append(number == 0 ? "before" : "between", to: min(end, max(begin, span.from)), isFault: false)
            append(span.what, to: min(end, max(begin, span.to)), isFault: true)
        }
        append("after", to: end, isFault: false)
        return phases
    }

    /// Holds the measured time against an objective; what a fault lasted is left out.
    package mutating func judge(_ objective: LatencyObjective) {
        let quiet = phases.filter { !$0.isFault }
        let figures = faults.isEmpty ? all : quiet.reduce(into: CallFigures(.hundredth)) { $0.add($1.figures) }
        self.objective = objective.description + (faults.isEmpty ? "" : Self.faultsLeftOut)
        objectiveIsMet = objective.isMet(by: figures)
    }
}
