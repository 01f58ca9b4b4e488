import Glibc
import NIOSSL
package import WireProtocol

/// Why TLS cannot be set up from the configured files.
package enum TLSError: Error, Hashable, Sendable {
    case unreadable(file: String, errorNumber: Int32)
    case noCertificate(file: String)
    case noPrivateKey(file: String)
    case keyMismatch(certificateFile: String, privateKeyFile: String)
}

extension TLSError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .unreadable(let file, let errorNumber):
            "cannot read the TLS file \(file): \(SystemText.error(errorNumber))"
        case .noCertificate(let file): "the TLS file \(file) holds no certificate in PEM form"
        case .noPrivateKey(let file):
            "the TLS file \(file) holds no private key in PEM form that can be used without a passphrase"
        case .keyMismatch(let certificateFile, let privateKeyFile):
            "the certificate in \(certificateFile) and the private key in \(privateKeyFile) do not belong together"
        }
    }
}

extension TLSError: WireStatusConvertible {
    package var wireStatus: WireStatus { WireStatus(.invalidRequest, description) }
}

enum TLSFiles {
    static func privateKey(_ file: String) throws(TLSError) -> NIOSSLPrivateKeySource {
        try checkReadable(file)
        do {
            return .privateKey(try NIOSSLPrivateKey(file: file, format: .pem))
        } catch {
            throw .noPrivateKey(file: file)
        }
    }

    /// - Returns: at least one.
    static func certificates(_ file: String) throws(TLSError) -> [NIOSSLCertificate] {
        try checkReadable(file)
        do {
            let certificates = try NIOSSLCertificate.fromPEMFile(file)
            if !certificates.isEmpty { return certificates }
        } catch {}
        throw .noCertificate(file: file)
    }

    private static func checkReadable(_ file: String) throws(TLSError) {
        let result = unsafe access(file, R_OK)
        if result != 0 { throw .unreadable(file: file, errorNumber: errno) }
    }
}
