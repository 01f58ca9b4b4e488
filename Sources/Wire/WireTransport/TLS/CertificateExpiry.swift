import NIOSSL

/// Until when the certificates of one PEM file are good.
package struct CertificateExpiry: Hashable, Sendable {
    package var file: String
    /// The last moment of that certificate which ends first, in seconds since 1970.
    package var lastSecond: Int64

    package init(file: String, lastSecond: Int64) {
        self.file = file
        self.lastSecond = lastSecond
    }

    /// - Parameter certificates: what the file holds, at least one.
    init(file: String, of certificates: [NIOSSLCertificate]) {
        self.init(file: file, lastSecond: certificates.map { Int64($0.notValidAfter) }.min() ?? .max)
    }
}
