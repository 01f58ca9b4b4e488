/// Shows how far a long task is: a bar drawn over itself on a terminal, a plain line every two seconds elsewhere.
struct ProgressLine {
    private static let terminalInterval = Duration.milliseconds(100)
    private static let plainInterval = Duration.seconds(2)
    private static let barWidth = 24

    private let console: Console
    private let noun: String
    /// Items there are in all; nil when that is not known.
    private let total: Int?
    private let start: ContinuousClock.Instant
    private var lastShown: ContinuousClock.Instant
    private var isDrawn = false

    init(console: Console, noun: String, total: Int?, start: ContinuousClock.Instant = .now) {
        self.console = console
        self.noun = noun
        self.total = total
        self.start = start
        lastShown = start
    }

    /// Shows the progress if it is time to.
    ///
    /// - Parameter share: of all that there is to do, done, 0…1, where items under way count in part; nil for that of
    ///   whole items.
    mutating func update(done: Int, share: Double? = nil, now: ContinuousClock.Instant = .now) {
        let interval = console.errorIsTerminal ? Self.terminalInterval : Self.plainInterval
        guard now - lastShown >= interval else { return }
        lastShown = now
        let text = ProgressText.text(
            noun: noun,
            done: done,
            total: total,
            share: share,
            elapsed: now - start,
            barWidth: console.errorIsTerminal ? Self.barWidth : 0
        )
        if console.errorIsTerminal {
            isDrawn = true
            console.writeError("\r\u{1B}[K" + text.prefix(console.errorColumns() - 1))
        } else {
            console.writeError(text + "\n")
        }
    }

    /// Takes the bar away, so that other lines can be written.
    mutating func clear() {
        guard isDrawn else { return }
        isDrawn = false
        console.writeError("\r\u{1B}[K")
    }
}

/// The words of a progress line.
package enum ProgressText {
    /// Such as `[######------]  50.0 %  5000 of 10000 rows  1250 rows/s  4.0 s left`; with a share of its own
    /// `[######------]  50.0 %  1 of 3 steps  4.0 s left`.
    package static func text(
        noun: String,
        done: Int,
        total: Int?,
        share known: Double? = nil,
        elapsed: Duration,
        barWidth: Int
    ) -> String {
        let seconds = max(NumberText.seconds(elapsed), 1e-9)
        let rate = Double(done) / seconds
        let speed = "\(NumberText.fixed(rate, 0)) \(noun)/s"
        // A count that the cluster last heard of may be old by now.
        guard let total, total > 0, done <= total else { return "\(done) \(noun)  \(speed)" }
        let share = known ?? Double(done) / Double(total)
        let filled = Int(share * Double(barWidth))
        let bar =
            barWidth == 0
            ? ""
            : "[" + String(repeating: "#", count: filled) + String(repeating: "-", count: barWidth - filled) + "]  "
        let left =
            share > 0 && share < 1 ? "  \(NumberText.duration(.seconds(seconds * (1 - share) / share))) left" : ""
        let items = "\(done) of \(total) \(noun)" + (known == nil ? "  \(speed)" : "")
        return "\(bar)\(NumberText.percent(share))  \(items)\(left)"
    }
}
