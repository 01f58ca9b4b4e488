import Glibc
import Synchronization

/// Writes texts to a file, a pipe or a terminal, as far as they can be written.
///
/// May be used from any thread; a text that another thread writes at the same time may come into one.
package final class TextOutput: Sendable {
    package enum Kind: Sendable {
        /// What somebody reads as a whole: after the first failure nothing more is written, so that nothing is missing
        /// in the middle; when the reader of a pipe has gone, the process ends as by SIGPIPE, because nobody wants the
        /// rest.
        case results
        /// What is told besides: a text that cannot be written is dropped, whatever the reason.
        case messages
    }

    private let descriptor: Int32
    private let kind: Kind
    private let firstFailure = Mutex<Int32?>(nil)

    /// - Parameter descriptor: stays open, and is not closed.
    package init(descriptor: Int32, of kind: Kind) {
        self.descriptor = descriptor
        self.kind = kind
    }

    /// Why results could not be written, in a few words; nil while all of them were.
    package var failure: String? {
        guard let code = firstFailure.withLock({ $0 }) else { return nil }
        return unsafe strerror(code).map { unsafe String(cString: $0).lowercased() } ?? "error \(code)"
    }

    /// Blocks until the text is written.
    package func write(_ text: String) {
        guard firstFailure.withLock({ $0 == nil }) else { return }
        var bytes = ArraySlice(text.utf8)
        while !bytes.isEmpty {
            let count = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count > 0 {
                bytes = bytes.dropFirst(count)
                continue
            }
            let code = count < 0 ? errno : EIO
            if code == EINTR { continue }
            if code == EAGAIN {
                awaitRoom()
                continue
            }
            guard kind == .results else { return }
            if code == EPIPE { exit(128 + SIGPIPE) }
            firstFailure.withLock { $0 = $0 ?? code }
            return
        }
    }

    /// Waits until what others have set not to wait takes more.
    private func awaitRoom() {
        var state = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        _ = unsafe poll(&state, 1, -1)
    }
}
