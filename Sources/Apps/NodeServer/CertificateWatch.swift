import Logging
import ServiceLifecycle
import WireTransport

/// Looks after certificates of a node while it runs: has files that changed read again, and says when one comes to its
/// end.
struct CertificateWatch: Service {
    /// How soon changed files are in use.
    private static let period = Duration.seconds(5)

    let tls: WatchedTLS
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var marks = tls.marks
            var notices: [String: ExpiryNoticeStateMachine] = [:]
            while !Task.isCancelled {
                let current = tls.files.map(FileMark.init(path:))
                if current != marks {
                    marks = current
                    reload()
                }
                for (kind, expiry) in tls.expiries { tell(expiry, &notices[kind, default: .init()]) }
                do { try await Task.sleep(for: Self.period) } catch { return }
            }
        }
        try await gracefulShutdown()
    }

    private func reload() {
        do throws(NodeStartError) {
            try tls.reload()
            let files = tls.files.joined(separator: ", ")
            logger.notice("new connections use the TLS files as they are now", metadata: ["files": "\(files)"])
        } catch {
            logger.error(
                "the TLS files have changed and cannot be used; those before are in use",
                metadata: ["reason": "\(error)"]
            )
        }
    }

    private func tell(_ expiry: CertificateExpiry, _ notices: inout ExpiryNoticeStateMachine) {
        let remaining = expiry.lastSecond - WatchedTLS.wallClockSecond
        switch notices.event(remainingSeconds: remaining) {
        case .none: break
        case .ends:
            logger.warning(
                "a certificate is about to end",
                metadata: ["file": "\(expiry.file)", "hours": "\(remaining / 3600)"]
            )
        case .hasEnded:
            logger.error("a certificate is out of date and peers refuse it", metadata: ["file": "\(expiry.file)"])
        }
    }
}
