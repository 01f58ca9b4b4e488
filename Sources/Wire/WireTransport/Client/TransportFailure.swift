import NIOCore
import NIOPosix
import NIOSSL
import WireProtocol

/// The status of a connection that could not be made or broke.
enum TransportFailure {
    static func status(for error: any Error, peer: String) -> WireStatus {
        switch error {
        case let status as WireStatus: status
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
            WireStatus(
                .unauthenticated,
                "no TLS connection to \(peer): \(reason(error)). Check that both sides use TLS, the certificate's "
                    + "names and dates, and the trust roots"
            )
        default: WireStatus(.unavailable, "cannot reach \(peer): \(SystemText.reason(error))")
        }
    }

    private static func reason(_ error: any Error) -> String {
        switch error {
        case NIOSSLError.handshakeFailed(let cause): "the handshake failed (\(cause))"
        case NIOSSLError.unableToValidateCertificate: "the peer's certificate is not trusted"
        default: String(describing: error)
        }
    }
}
