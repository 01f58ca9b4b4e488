import Glibc
import NIOCore
import NIOPosix
import NIOSSL
import WireProtocol

/// The status of a connection that could not be made or broke.
enum TransportFailure {
    /// - Parameter trustRootsFile: of the connection's TLS; nil for the roots that the machine trusts.
    static func status(for error: any Error, peer: String, trustRootsFile: String?) -> WireStatus {
        switch error {
        case let status as WireStatus: status
        case is NIOSSLError, is BoringSSLError, is NIOSSLExtraError:
            WireStatus(.unauthenticated, "no TLS connection to \(peer): \(reason(error, trustRootsFile))")
        default: WireStatus(.unavailable, "cannot reach \(peer): \(SystemText.reason(error))")
        }
    }

    /// Whether connecting failed because nobody listens at the port, by the word of the peer's machine.
    static func isOfPort(_ error: any Error) -> Bool {
        switch error {
        case let error as IOError: error.errnoCode == ECONNREFUSED
        case let error as NIOConnectionError:
            !error.connectionErrors.isEmpty && error.connectionErrors.allSatisfy { isOfPort($0.error) }
        default: false
        }
    }

    /// Whether TLS tells that the peer has closed the connection without a word of its own.
    static func isOfClosing(_ error: any Error) -> Bool {
        switch error {
        // The end of a process that had no time to say so, as `kill -9` is one.
        case NIOSSLError.uncleanShutdown: true
        case NIOSSLError.handshakeFailed(.sslError(let stack)): stack == [.eofDuringHandshake]
        default: false
        }
    }

    private static func reason(_ error: any Error, _ trustRootsFile: String?) -> String {
        switch error {
        case NIOSSLError.handshakeFailed(let cause), let cause as BoringSSLError:
            return reason(cause, trustRootsFile)
        case NIOSSLError.unableToValidateCertificate: return untrusted(trustRootsFile)
        case let error as NIOSSLExtraError where error == .failedToValidateHostname:
            return "the server's certificate names another host; connect by a name in it, or have it made for this one"
        default: return "\(error). \(whatToCheck)"
        }
    }

    private static func reason(_ error: BoringSSLError, _ trustRootsFile: String?) -> String {
        guard case .sslError(let stack) = error, let first = stack.first else {
            return "the handshake failed. \(whatToCheck)"
        }
        switch code(first) {
        case "CERTIFICATE_VERIFY_FAILED": return untrusted(trustRootsFile)
        case "WRONG_VERSION_NUMBER": return "the server does not speak TLS, or is no Mien node"
        case let code?:
            let words = code.lowercased().replacing("_", with: " ")
            return "the handshake failed (\(words)). \(whatToCheck)"
        case nil: return "the handshake failed. \(whatToCheck)"
        }
    }

    private static let whatToCheck =
        "Check that both sides use TLS, the certificate's names and dates, and the trust roots"

    private static func untrusted(_ trustRootsFile: String?) -> String {
        let authority = trustRootsFile ?? "an authority that this machine trusts"
        return "the server's certificate is not signed by \(authority), or is out of date"
    }

    /// The reason's name in an error of BoringSSL, whose text goes on with the place in its sources:
    /// `error:1000007d:SSL routines:OPENSSL_internal:CERTIFICATE_VERIFY_FAILED at /…:298`.
    private static func code(_ error: BoringSSLInternalError) -> Substring? {
        guard let start = error.description.firstRange(of: "OPENSSL_internal:")?.upperBound else { return nil }
        return error.description[start...].prefix { $0 != " " }
    }
}
