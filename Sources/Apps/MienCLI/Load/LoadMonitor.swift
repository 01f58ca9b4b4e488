import LoadGenerator

/// Shows how a load goes, second by second: on a terminal in place, elsewhere a line now and then.
struct LoadMonitor {
    private static let plainInterval = 5
    /// Of each row of bars, at least and at most.
    private static let sparkWidths = 6...30

    private let console: Console
    private let window: Duration
    private let warmUp: Duration
    private var answered: [Double?] = []
    private var tails: [Double?] = []
    private var shownCount = 0

    init(console: Console, window: Duration, warmUp: Duration) {
        self.console = console
        self.window = window
        self.warmUp = warmUp
    }

    /// Watches until it is cancelled.
    ///
    /// - Parameters:
    ///   - delay: from a window's end until it is looked at, when most of its calls are answered.
    ///   - glimpse: of a window by its number; nil when nothing is known of it.
    mutating func watch(
        from start: ContinuousClock.Instant,
        delay: Duration = .milliseconds(200),
        _ glimpse: (Int) -> LoadRecorder.Glimpse?
    ) async {
        var index = 0
        while true {
            let end = start + window * (index + 1) + delay
            guard (try? await Task.sleep(until: end, tolerance: .milliseconds(10))) != nil else { break }
            if let glimpse = glimpse(index) { show(glimpse, index) }
            index += 1
        }
        clear()
    }

    private mutating func show(_ glimpse: LoadRecorder.Glimpse, _ index: Int) {
        let figures = glimpse.window.all
        let seconds = window / .seconds(1)
        answered.append(Double(figures.okCount) / seconds)
        tails.append(figures.times.isEmpty ? nil : Double(figures.times.percentile(99)))
        let isPlain = !console.errorIsTerminal
        if isPlain, !(index + 1).isMultiple(of: Self.plainInterval) { return }
        let at = Double(index + 1) * seconds
        let isWarmUp = at <= warmUp / .seconds(1)
        var line =
            "\(FigureText.seconds(at))\(isWarmUp ? " (warm-up)" : "")  "
            + "\(FigureText.rate(Double(figures.okCount) / seconds, of: "ok"))  "
            + "p50 \(FigureText.time(figures.times.percentile(50)))  "
            + "p99 \(FigureText.time(figures.times.percentile(99)))"
        if figures.partialCount > 0 { line += "  \(figures.partialCount) partial" }
        let failedCount = figures.failedCount + figures.notSentCount
        if failedCount > 0 { line += "  \(failedCount) failed" }
        line += "  \(glimpse.inFlight) in flight"
        if !glimpse.findings.isClean { line += "  \(glimpse.findings.totalCount) NOT TRUE" }
        if isPlain {
            console.writeError(line + "\n")
        } else {
            console.writeError("\r\u{1B}[K" + withBars(line, columns: console.errorColumns() - 1))
            shownCount += 1
        }
    }

    /// The line and as much of the bars as there is room for.
    private func withBars(_ line: String, columns: Int) -> String {
        let titles = (answered: "  ok/s ", tails: "  p99 ")
        let room = columns - line.count - titles.answered.count
        let both = (room - titles.tails.count) / 2
        if both >= Self.sparkWidths.lowerBound {
            let width = min(both, Self.sparkWidths.upperBound)
            return line + titles.answered + Sparkline.text(answered, width: width) + titles.tails
                + Sparkline.text(tails, width: width)
        }
        guard room >= Self.sparkWidths.lowerBound else { return String(line.prefix(columns)) }
        return line + titles.answered + Sparkline.text(answered, width: min(room, Self.sparkWidths.upperBound))
    }

    private mutating func clear() {
        guard shownCount > 0 else { return }
        shownCount = 0
        console.writeError("\r\u{1B}[K")
    }
}
