import Dispatch
import Glibc

/// The terminal while a program draws on all of it: keys come one by one, what was there before comes back at the end.
struct Screen {
    /// Keys that leave: q, Q, Ctrl-C, Ctrl-D.
    static let leavingKeys: Set<UInt8> = [UInt8(ascii: "q"), UInt8(ascii: "Q"), 3, 4]

    private static let enter = "\u{1B}[?1049h\u{1B}[?25l"
    private static let leave = "\u{1B}[?25h\u{1B}[?1049l"

    private let console: Console
    private let saved: termios

    /// Nil when the input is no terminal.
    init?(_ console: Console) {
        var settings = termios()
        guard unsafe tcgetattr(STDIN_FILENO, &settings) == 0 else { return nil }
        saved = settings
        self.console = console
        // Keys as they are typed, Ctrl-C among them, so that the terminal is always put back.
        settings.c_lflag &= ~tcflag_t(ICANON | ECHO | ISIG)
        guard unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings) == 0 else { return nil }
        console.writeOutput(Self.enter)
    }

    func close() {
        var settings = saved
        _ = unsafe tcsetattr(STDIN_FILENO, TCSAFLUSH, &settings)
        console.writeOutput(Self.leave)
    }

    /// Puts the terminal back and ends the process when it is told to end, or loses its terminal.
    func closeOnSignals() {
        for number in [SIGTERM, SIGHUP] {
            signal(number, SIG_IGN)
            let source = DispatchSource.makeSignalSource(signal: number, queue: .global(qos: .userInteractive))
            source.setEventHandler { [self] in
                // The source holds itself for the rest of the process, as the signal's disposition stays.
                guard !source.isCancelled else { return }
                close()
                exit(128 + number)
            }
            source.resume()
        }
    }

    /// Shows a text from the upper left corner on; what does not fit is cut.
    func draw(_ text: String) {
        let (rows, columns) = Console.size(ofTerminal: STDOUT_FILENO)
        console.writeOutput("\u{1B}[H" + Self.fitted(text, rows: rows, columns: columns) + "\u{1B}[J")
    }

    /// The text's first rows and columns, each line with what clears the rest of it.
    static func fitted(_ text: String, rows: Int, columns: Int) -> String {
        text.split(separator: "\n", omittingEmptySubsequences: false).prefix(rows).map {
            String($0.prefix(columns)) + "\u{1B}[K"
        }.joined(separator: "\r\n")
    }

    /// Waits for a key. Blocks; nil when none came in time.
    static func key(within time: Duration) -> UInt8? {
        var descriptor = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
        guard unsafe poll(&descriptor, 1, Int32(clamping: Int(NumberText.seconds(time) * 1000))) > 0 else { return nil }
        var byte: UInt8 = 0
        // The end of the input is as good as leaving.
        return unsafe read(STDIN_FILENO, &byte, 1) == 1 ? byte : UInt8(ascii: "q")
    }
}
