import Foundation
import Glibc

/// Where a command writes and reads, and the environment it runs in.
package struct Console: Sendable {
    /// Results: what a person asked for, or a program reads.
    package var writeOutput: @Sendable (String) -> Void
    /// Progress, warnings and errors.
    package var writeError: @Sendable (String) -> Void
    /// Why results could not be written, in a few words; nil while all of them were.
    package var outputFailure: @Sendable () -> String?
    /// The next line that a person types; nil at the end of the input.
    package var readLine: @Sendable () -> String?
    /// Whether progress may be drawn over itself.
    package var errorIsTerminal: Bool
    /// Columns of the terminal that progress is drawn on: a longer line would wrap, and could not be drawn over.
    package var errorColumns: @Sendable () -> Int
    /// Whether results may be drawn over themselves, and keys come one by one.
    package var outputIsTerminal: Bool
    package var environment: [String: String]

    package init(
        writeOutput: @escaping @Sendable (String) -> Void,
        writeError: @escaping @Sendable (String) -> Void,
        outputFailure: @escaping @Sendable () -> String? = { nil },
        readLine: @escaping @Sendable () -> String? = { nil },
        errorIsTerminal: Bool = false,
        errorColumns: @escaping @Sendable () -> Int = { Console.usualSize.columns },
        outputIsTerminal: Bool = false,
        environment: [String: String] = [:]
    ) {
        self.writeOutput = writeOutput
        self.writeError = writeError
        self.outputFailure = outputFailure
        self.readLine = readLine
        self.errorIsTerminal = errorIsTerminal
        self.errorColumns = errorColumns
        self.outputIsTerminal = outputIsTerminal
        self.environment = environment
    }

    /// The console of this process.
    static func process() -> Console {
        // That the reader of a pipe has gone is an error of the write: of messages it is none that ends a command.
        signal(SIGPIPE, SIG_IGN)
        let results = TextOutput(descriptor: STDOUT_FILENO, of: .results)
        let messages = TextOutput(descriptor: STDERR_FILENO, of: .messages)
        return Console(
            writeOutput: { results.write($0) },
            writeError: { messages.write($0) },
            outputFailure: { results.failure },
            readLine: { Swift.readLine() },
            errorIsTerminal: isatty(STDERR_FILENO) == 1,
            errorColumns: { size(ofTerminal: STDERR_FILENO).columns },
            outputIsTerminal: isatty(STDOUT_FILENO) == 1 && isatty(STDIN_FILENO) == 1,
            environment: ProcessInfo.processInfo.environment
        )
    }

    /// Of a terminal that does not tell.
    package static let usualSize = (rows: 24, columns: 80)

    /// Rows and columns of a terminal.
    static func size(ofTerminal descriptor: Int32) -> (rows: Int, columns: Int) {
        var size = winsize()
        guard unsafe ioctl(descriptor, UInt(TIOCGWINSZ), &size) == 0, size.ws_row > 0, size.ws_col > 0 else {
            return usualSize
        }
        return (Int(size.ws_row), Int(size.ws_col))
    }

    func line(_ text: String = "") { writeOutput(text + "\n") }
    func warn(_ sentence: String) { writeError("mien: warning: \(sentence.shown())\n") }
}
