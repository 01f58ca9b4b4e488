import ReportPage

/// A report as a page: one HTML file that needs nothing else, and no script.
package struct LoadPage {
    private let report: LoadReport

    package init(_ report: LoadReport) {
        self.report = report
    }

    /// Well-formed as XML too.
    package var html: String {
        Page.html(
            title: "mien load: \(report.cluster.collection), \(report.startedAt)",
            heading: "Load on \(report.cluster.collection)",
            subtitle: "\(FigureText.count(report.cluster.faceCount)) faces, \(report.load.arrivals), "
                + "\(FigureText.seconds(report.load.durationSeconds)), \(report.startedAt)",
            body: tiles + verdict + overTime + phases + distribution + operations + ramp + facts,
            footer: footer
        )
    }

    private var tiles: String {
        let all = report.all
        var tiles: [(value: String, name: String, isBad: Bool)] = [
            (FigureText.rate(report.answeredPerSecond, of: ""), "answered in full", false),
            (FigureText.time(all.times.percentile(50)), "p50", false),
            (FigureText.time(all.times.percentile(99)), "p99", false),
            (FigureText.time(all.times.percentile(99.9)), "p99.9", false),
            (FigureText.share(all.errorShare), "not answered in full", all.errorShare > 0),
        ]
        if let share = report.truth.mateShare { tiles.append((FigureText.share(share), "mates found", false)) }
        if let recall = report.truth.recall {
            tiles.append((FigureText.share(recall), "of what exact search finds", false))
        }
        if let found = report.ramp?.foundRatePerSecond {
            tiles.append((FigureText.rate(found, of: ""), "highest rate that met the objective", false))
        }
        return Page.tiles(tiles)
    }

    private var verdict: String {
        let truth = report.truth
        let title =
            switch report.verdict {
            case .untrue: "Not every answer was true"
            case .unanswered: "No search was answered, so nothing is known of the answers"
            case .unchecked: "Nothing untrue was seen, and not all was checked"
            case .sound: "Every answer was true as far as it was checked; nothing that was looked for is missing"
            }
        let kinds = TruthFindings.Kind.allCases.map { kind in
            "<div><b>\(FigureText.count(truth.findings.count(kind)))</b>\(Markup.escaped(kind.title))</div>"
        }.joined()
        let problems = (truth.findings.examples + truth.unchecked.map { "not checked: \($0)" }).map {
            "<li>\(Markup.escaped($0))</li>"
        }
        return """
            <section class="verdict\(report.verdict == .sound ? "" : " bad")"><h2>\(title)</h2>
            <div class="kinds">\(kinds)</div>
            \(problems.isEmpty ? "" : "<ul>\(problems.joined())</ul>\n")\(Markup.facts(report.truthFacts))</section>

            """
    }

    private var overTime: String {
        let plots = TimePlots(report)
        return """
            <section><h2>Latency over time</h2>
            <p>Answered calls, from their intended start, by the second in which they were to begin.</p>
            \(plots.latency)</section>
            <section><h2>Calls over time</h2>
            \(plots.throughput)\(plots.inFlight)</section>

            """
    }

    private var phases: String {
        let phases = report.phases
        guard !phases.isEmpty else { return "" }
        let table = Markup.table(
            ["phase", "from", "to", "calls/s", "ok", "partial", "failed", "p50", "p99", "longest"],
            phases.map(LoadReport.row)
        ) { phases[$0].isFault ? "hot" : "" }
        return """
            <section><h2>Before, during and after each fault</h2>
            <p>A fault lasts until every shard is served again; phases are cut at whole windows of \
            \(FigureText.seconds(report.series.windowSeconds)).</p>
            \(table)</section>

            """
    }

    private var distribution: String {
        guard !report.all.times.isEmpty else { return "" }
        let plots = DistributionPlots(report)
        return """
            <div class="pair">
            <section><h2>Distribution of latency</h2>
            \(plots.histogram)</section>
            <section><h2>Latency by percentile</h2>
            \(plots.percentiles)</section>
            </div>

            """
    }

    private var operations: String {
        let rows = report.operationRows
        let table = Markup.table(
            ["operation", "calls", "answered/s", "failed", "mean", "p50", "p90", "p99", "p99.9", "longest"],
            rows
        ) { rows.count > 1 && $0 == rows.count - 1 ? "sum" : "" }
        let problems = report.all.problems
        let text =
            problems.isEmpty ? "" : "<p>Not answered in full: \(Markup.escaped(report.problemText(report.all))).</p>\n"
        return "<section><h2>Operations</h2>\n\(text)\(table)</section>\n"
    }

    private var ramp: String {
        guard let ramp = report.ramp, !ramp.steps.isEmpty else { return "" }
        let plot = RampPlot(ramp)
        let found = ramp.foundRatePerSecond.map { "\(FigureText.rate($0)) is the highest rate that met it" }
        return """
            <section><h2>Rates that were tried</h2>
            <p>Objective: \(Markup.escaped(ramp.objective)). \(Markup.escaped(found ?? "No rate met it")).</p>
            \(plot.svg)\(plot.table)</section>

            """
    }

    private var facts: String {
        let (load, cluster, machine) = (report.load, report.cluster, report.machine)
        var facts: [(name: String, text: String)] = [
            ("mix", load.mix), ("arrivals", load.arrivals),
        ]
        if let streams = load.streams { facts.append(("streams", streams)) }
        facts += [
            (
                "time",
                "\(FigureText.seconds(load.durationSeconds)) measured after "
                    + "\(FigureText.seconds(load.warmUpSeconds)) of warm-up"
            ),
            (
                "searches",
                "effort \(load.effort), \(load.matchLimit) matches, coverage "
                    + (load.leastCoverage.map { "at least \(FigureText.share($0))" } ?? "full")
            ),
            (
                "calls",
                "deadline \(FigureText.seconds(load.timeoutSeconds)), "
                    + (load.retrySeconds > 0
                        ? "retried for \(FigureText.seconds(load.retrySeconds))" : "tried once at each coordinator")
                    + (report.resends.map { " (\($0.text))" } ?? "")
                    + ", \(load.connectionCount) connections, "
                    + "at most \(FigureText.count(load.inFlightLimit)) under way, "
                    + "from \(load.processCount == 1 ? "1 process" : "\(load.processCount) processes")"
            ),
            (
                "begun late by",
                "\(FigureText.time(report.pacing.percentile(50))) (p50), "
                    + "\(FigureText.time(report.pacing.percentile(99))) (p99), "
                    + "\(FigureText.time(report.pacing.longestMicroseconds)) at most; part of every latency here"
            ),
            (
                "collection",
                "\(FigureText.count(cluster.faceCount)) faces of dimension \(cluster.dimension), "
                    + "\(cluster.shardCount == 1 ? "1 shard" : "\(cluster.shardCount) shards"), "
                    + "\(cluster.replicationFactor == 1 ? "1 copy" : "\(cluster.replicationFactor) copies"), "
                    + "index: \(cluster.index)"
            ),
            (
                "cluster",
                "\(cluster.workers.count == 1 ? "1 worker" : "\(cluster.workers.count) workers"), Mien "
                    + "\(cluster.version)"
                    + (cluster.isOwn ? ", started for this load on the same machine" : "")
                    + (cluster.workers.first.map { ", kernels \($0.kernels)" } ?? "")
            ),
        ]
        if let fill = report.fill, fill.sentCount > 0 {
            facts.append(
                (
                    "filled before",
                    "\(FigureText.count(fill.sentCount)) faces in \(FigureText.seconds(fill.seconds)), "
                        + FigureText.rate(Double(fill.sentCount) / max(fill.seconds, 1e-9), of: "faces")
                )
            )
        }
        if let objective = report.objective {
            facts.append(("objective", "\(objective): \(report.objectiveIsMet == true ? "met" : "not met")"))
        }
        facts += [
            (
                "machine",
                "\(machine.processor), \(machine.processorCount) processors, "
                    + "\(DecimalText.bytes(machine.memoryBytes)), \(machine.system)"
            ),
            ("program", "mien \(report.version), seed \(load.seed)"),
        ]
        return """
            <section><h2>What was measured</h2>
            \(Markup.command(report.command))\(Markup.facts(facts))</section>

            """
    }

    private var footer: String {
        let loop =
            report.load.callerCount == nil
            ? "Calls began at times set beforehand, so that a slow cluster is asked no less: there is no coordinated "
                + "omission."
            : "Callers waited for their answers, so a slow cluster was asked less; an open loop would show more."
        return "\(loop) Faces are generated; nobody's face is in them."
    }
}
