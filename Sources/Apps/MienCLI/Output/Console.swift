import Foundation
import Glibc

/// Where a command writes and reads, and the environment it runs in.
package struct Console: Sendable {
    /// Results: what a person asked for, or a program reads.
    package var writeOutput: @Sendable (String) -> Void
    /// Progress, warnings and errors.
    package var writeError: @Sendable (String) -> Void
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
        readLine: @escaping @Sendable () -> String? = { nil },
        errorIsTerminal: Bool = false,
        errorColumns: @escaping @Sendable () -> Int = { Console.usualSize.columns },
        outputIsTerminal: Bool = false,
        environment: [String: String] = [:]
    ) {
        self.writeOutput = writeOutput
        self.writeError = writeError
        self.readLine = readLine
        self.errorIsTerminal = errorIsTerminal
        self.errorColumns = errorColumns
        self.outputIsTerminal = outputIsTerminal
        self.environment = environment
    }

    /// The console of this process. Text that cannot be written is dropped; when the reader of a pipe has gone, the
    /// process ends as by SIGPIPE, because nobody wants the rest.
    static func process() -> Console {
        Console(
            writeOutput: { write($0, to: STDOUT_FILENO) },
            writeError: { write($0, to: STDERR_FILENO) },
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

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = ArraySlice(text.utf8)
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            if count < 0, errno == EPIPE { exit(128 + SIGPIPE) }
            guard count > 0 else { return }
            bytes = bytes.dropFirst(count)
        }
    }
}
