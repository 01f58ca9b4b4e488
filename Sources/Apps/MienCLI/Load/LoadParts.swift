import Foundation
import Glibc
import LoadGenerator
import MienClient

/// A load that several processes make together, each a part of it, and one report of it.
struct LoadParts {
    private static let readyLimit = Duration.seconds(300)
    /// What a part is not told, or told otherwise.
    private static let ownOptions: Set<String> = [
        "--fill", "--faces", "--cluster", "--cluster-data", "--fault", "--report", "--json-file", "--processes",
        "--rate",
        "--closed", "--objective", "--max-in-flight", "--coordinator",
    ]
    private static let ownFlags: Set<String> = ["--json", "--keep", "--expect-filled"]

    let command: LoadRunCommand
    let interruption: LoadInterruption
    let console: Console

    /// Starts the parts, lets them begin together, and merges what they report.
    ///
    /// - Parameters:
    ///   - address: of a cluster that was started for the load.
    ///   - faults: plays the faults, given when the load begins.
    func run(
        faceCount: Int,
        address: MienClient.Address?,
        faults: @Sendable @escaping (ContinuousClock.Instant) async -> FaultPlayer.Outcome
    ) async throws(CommandFailure) -> LoadReport {
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("mien-load-\(UUID().uuidString)")
            .path
        do {
            try FileManager.default.createDirectory(atPath: folder, withIntermediateDirectories: true)
        } catch {
            throw CommandFailure(.fileSystem, "\(folder) cannot be made")
        }
        defer { try? FileManager.default.removeItem(atPath: folder) }
        var parts: [LoadProcess] = []
        defer { for part in parts { part.kill() } }
        for number in 0..<command.processes {
            parts.append(
                try await LoadProcess.start(
                    arguments(of: number, folder, faceCount: faceCount, address),
                    writingTo: "\(folder)/part-\(number)"
                )
            )
        }
        try await wait(for: parts, in: folder)
        let start = ContinuousClock.now + .milliseconds(300)
        let time = Date().timeIntervalSince1970 + 0.3
        guard
            (try? "\(time)".write(toFile: LoadPartOptions.startFile(in: folder), atomically: true, encoding: .utf8))
                != nil
        else { throw CommandFailure(.fileSystem, "\(folder) cannot be written") }
        console.writeError("\(command.processes) processes make the load\n")
        async let played = faults(start)
        let running = parts
        let plan = command.load.plan(
            arrivals: .closed(callerCount: 1),
            duration: command.load.duration,
            warmUp: command.load.warmUp,
            seed: 0
        )
        await withTaskGroup(of: Void.self) { group in
            group.addTask { [console, count = command.processes] in
                await Self.view(plan, partCount: count, from: start, in: folder, console)
            }
            await waitForEnd(of: running)
            group.cancelAll()
        }
        let outcome = await played
        var reports: [LoadReport] = []
        for (number, part) in parts.enumerated() {
            guard let status = part.status,
                [0, ExitStatus.no.rawValue, ExitStatus.unavailable.rawValue].contains(status)
            else { throw failure(number, part) }
            reports.append(try LoadMergeCommand.read(LoadPartOptions.reportFile(number, in: folder)))
        }
        do throws(LoadTextError) {
            var report = try LoadReport.merged(reports)
            report.faults = outcome.faults
            report.truth.unchecked += outcome.problems
            return report
        } catch {
            throw CommandFailure(.internalError, error.description)
        }
    }

    /// Passes on what a person asks meanwhile.
    private func waitForEnd(of parts: [LoadProcess]) async {
        var isTold = false
        while parts.contains(where: { $0.status == nil }) {
            if interruption.isAsked, !isTold {
                isTold = true
                for part in parts { part.signal(SIGINT) }
            }
            try? await Task.sleep(for: .milliseconds(50))
        }
    }

    /// Shows what the parts tell, second by second, added up; a part that is late is missing from its second.
    private static func view(
        _ plan: LoadPlan,
        partCount: Int,
        from start: ContinuousClock.Instant,
        in folder: String,
        _ console: Console
    ) async {
        let windowCount = Int((plan.totalDuration / plan.window).rounded(.up))
        var files = (0..<partCount).map {
            LoadProgressFile(path: LoadPartOptions.progressFile($0, in: folder))
        }
        var monitor = LoadMonitor(console: console, window: plan.window, warmUp: plan.warmUp)
        await monitor.watch(from: start, delay: .milliseconds(350)) { index in
            // What comes after the load's end are its checks.
            guard index < windowCount else { return nil }
            var glimpses = files.indices.compactMap { files[$0].glimpse(ofWindow: index) }
            guard var sum = glimpses.popLast() else { return nil }
            for glimpse in glimpses { sum.add(glimpse) }
            return sum
        }
    }

    private func wait(for parts: [LoadProcess], in folder: String) async throws(CommandFailure) {
        let deadline = ContinuousClock.now + Self.readyLimit
        for (number, part) in parts.enumerated() {
            while !FileManager.default.fileExists(atPath: LoadPartOptions.readyFile(number, in: folder)) {
                guard part.status == nil, ContinuousClock.now < deadline else { throw failure(number, part) }
                try? await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    private func failure(_ number: Int, _ part: LoadProcess) -> CommandFailure {
        CommandFailure(.internalError, "part \(number) of the load failed: \(part.error.suffix(800))")
    }

    private func arguments(
        of number: Int,
        _ folder: String,
        faceCount: Int,
        _ address: MienClient.Address?
    ) -> [String] {
        var dropped = Self.ownOptions
        // Streams are not divided.
        if number > 0 { dropped.insert("--streams") }
        if address == nil { dropped.remove("--coordinator") }
        var words: [String] = []
        var given = CommandLine.arguments.dropFirst()[...]
        while let word = given.popFirst() {
            let name = word.split(separator: "=", maxSplits: 1).first.map(String.init) ?? word
            if Self.ownFlags.contains(word) { continue }
            if dropped.contains(name) {
                if word == name { _ = given.popFirst() }
                continue
            }
            words.append(word)
        }
        let count = command.processes
        words += ["--folder", folder, "--part", "\(number)", "--parts", "\(count)", "--faces", "\(faceCount)"]
        words += ["--json-file", LoadPartOptions.reportFile(number, in: folder), "--keep"]
        words += ["--max-in-flight", "\(max(1, command.load.maxInFlight / count))"]
        if case .perSecond(let rate)? = command.load.rate { words += ["--rate", "\(rate / Double(count))"] }
        if let closed = command.load.closed { words += ["--closed", "\(max(1, closed / count))"] }
        if let address { words += ["--coordinator", address.description] }
        return words
    }
}
