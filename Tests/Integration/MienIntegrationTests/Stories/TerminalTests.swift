import Foundation
import Testing

extension Integration {
    /// Views that are drawn over themselves, on a terminal: they fit it, are drawn again, and leave it as it was.
    @Suite struct TerminalTests {
        private static let columns = 72

        /// Runs a command on a terminal until the body is done with it, and looks at what it leaves.
        private func watch(
            _ stage: Stage,
            _ arguments: [String],
            _ body: (PseudoTerminal, ChildProcess) async throws -> Void
        ) async throws -> (status: Int32, text: String) {
            let terminal = try PseudoTerminal(rows: 20, columns: Self.columns)
            defer { terminal.close() }
            #expect(terminal.isAsShellsWantIt)
            let process = try await stage.start(arguments, on: terminal)
            try await body(terminal, process)
            let status = try await process.end(within: .seconds(20))
            // What was drawn last may still be on its way.
            try await terminal.settle()
            #expect(terminal.isAsShellsWantIt, "the terminal is left as the command needed it")
            return (status, terminal.text)
        }

        /// Lines as wide as they are on the screen.
        private func widths(_ text: String) -> [Int] {
            text.replacing(/\u{1B}\[[?0-9;]*[A-Za-z]/, with: "\n").split { $0.isNewline }.map(\.count)
        }

        /// By a key, or by a signal for none.
        @Test(.timeLimit(.minutes(3)), arguments: ["q", "\u{3}", nil])
        func topIsDrawnUntilItIsLeft(key: String?) async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let top = ["top", "--interval", "0.1", "--coordinator", "\(cluster.address)"]
                let (status, text) = try await watch(stage, top) { terminal, process in
                    try await eventually("the view is drawn three times", within: .seconds(20)) {
                        terminal.text.ranges(of: "q leaves").count >= 3 ? () : nil
                    }
                    try process.expectNoCoreFiles()
                    // Keys come one by one, and are not echoed.
                    #expect(!terminal.isAsShellsWantIt)
                    terminal.type("x")
                    let before = terminal.text.ranges(of: "q leaves").count
                    try await eventually("another key leaves it drawn", within: .seconds(20)) {
                        terminal.text.ranges(of: "q leaves").count > before + 1 ? () : nil
                    }
                    if let key { terminal.type(key) } else { process.terminate() }
                }
                #expect(status == (key == nil ? 128 + 15 : 0))
                #expect(text.hasPrefix("\u{1B}[?1049h\u{1B}[?25l") && text.hasSuffix("\u{1B}[?25h\u{1B}[?1049l"))
                #expect(
                    text.contains("searches/s") && text.contains("no collection yet") && !text.contains("\u{1B}[Jx")
                )
                #expect(widths(text).allSatisfy { $0 <= Self.columns }, "\(widths(text).max() ?? 0) columns")
            }
        }

        @Test(.timeLimit(.minutes(3))) func aLoadIsDrawnWithItsBarsUntilCtrlCEndsIt() async throws {
            try await Stage.play { stage in
                let cluster = try Cluster(stage, workers: 1)
                try await cluster.start()
                let load = [
                    "load", "people", "--fill", "500", "--dimension", "64", "--probes", "100", "--rate", "50",
                    "--warm-up", "1s", "--duration", "50s", "--coordinator", "\(cluster.address)",
                ]
                let (status, text) = try await watch(stage, load) { terminal, _ in
                    try await eventually("seconds are drawn over each other", within: .seconds(30)) {
                        let seconds = terminal.text.ranges(of: " in flight").count
                        if seconds == 0, terminal.text.contains("mien: ") { throw StoryError(terminal.text) }
                        return seconds >= 4 ? () : nil
                    }
                    terminal.type("\u{3}")
                }
                #expect(status == 0, "\(text)")
                let lines = text.split(separator: "\r\u{1B}[K").filter { $0.contains(" in flight") }
                #expect(lines.count >= 4, "\(text)")
                for line in lines.dropFirst(2).dropLast() { #expect(line.contains(#/  ok/s [▁-█ ]*[▁-█]/#), "\(line)") }
                let end = try #require(text.range(of: " in flight", options: .backwards)?.upperBound)
                let rest = text[end...]
                // The last line is taken away, and the report is below.
                #expect(rest.contains("\r\u{1B}[K") && rest.contains("The answers were true"), "\(text)")
                #expect(lines.allSatisfy { $0.prefix { !$0.isNewline }.count < Self.columns }, "\(lines)")
            }
        }
    }
}
