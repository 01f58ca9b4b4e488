import Foundation
import Glibc
import Synchronization

/// A terminal without a screen: what programs draw on it is kept, and keys can be typed.
final class PseudoTerminal: Sendable {
    /// Of the programs' side.
    let path: String
    private let main: Int32
    /// Held open, so that settings outlive the program that made them.
    private let side: Int32
    private let drawn = Mutex(Drawn())
    private let isClosed = Atomic<Bool>(false)

    private struct Drawn {
        var bytes: [UInt8] = []
        /// How often it was looked for more.
        var lookCount = 0
        /// The last look that found some.
        var lastFind = 0
    }

    /// `TIOCSPTLCK` and `TIOCGPTN`, which glibc's `unlockpt` and `ptsname` ask with; Swift is shown neither of them.
    private static let (setLock, getNumber): (UInt, UInt) = (0x4004_5431, 0x8004_5430)

    init(rows: Int, columns: Int) throws {
        main = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_CLOEXEC)
        var (lock, number): (Int32, Int32) = (0, 0)
        guard main >= 0, ioctl(main, Self.setLock, &lock) == 0, ioctl(main, Self.getNumber, &number) == 0 else {
            throw StoryError("no terminal can be made")
        }
        path = "/dev/pts/\(number)"
        side = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC)
        var size = winsize(ws_row: UInt16(rows), ws_col: UInt16(columns), ws_xpixel: 0, ws_ypixel: 0)
        guard side >= 0, ioctl(main, UInt(TIOCSWINSZ), &size) == 0 else {
            throw StoryError("\(path) cannot be set up")
        }
        Thread.detachNewThread { [self] in keep() }
    }

    func close() { isClosed.store(true, ordering: .relaxed) }

    /// Until it is closed; a terminal whose programs draw and nobody reads holds them up.
    private func keep() {
        var buffer = [UInt8](repeating: 0, count: 4096)
        while !isClosed.load(ordering: .relaxed) {
            var descriptor = pollfd(fd: main, events: Int16(POLLIN), revents: 0)
            let count = poll(&descriptor, 1, 20) > 0 ? read(main, &buffer, buffer.count) : 0
            drawn.withLock { drawn in
                drawn.lookCount += 1
                guard count > 0 else { return }
                drawn.bytes += buffer.prefix(count)
                drawn.lastFind = drawn.lookCount
            }
        }
        Glibc.close(side)
        Glibc.close(main)
    }

    /// All that was drawn so far, with what moves the cursor.
    var text: String { drawn.withLock { String(decoding: $0.bytes, as: UTF8.self) } }

    /// Waits until five looks in turn, which all began after now, have found nothing more.
    func settle() async throws {
        // The look that is under way began before.
        let first = drawn.withLock(\.lookCount) + 1
        try await eventually("all that was drawn is kept", within: .seconds(20)) {
            drawn.withLock { $0.lookCount >= max($0.lastFind, first) + 5 } ? () : nil
        }
    }

    func type(_ keys: String) {
        let bytes = Array(keys.utf8)
        _ = write(main, bytes, bytes.count)
    }

    /// Whether lines are edited, keys are echoed and Ctrl-C is a signal, as a shell leaves it.
    var isAsShellsWantIt: Bool {
        var settings = termios()
        let wanted = tcflag_t(ICANON | ECHO | ISIG)
        return tcgetattr(side, &settings) == 0 && settings.c_lflag & wanted == wanted
    }
}
