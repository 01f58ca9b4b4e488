import Glibc
package import Observability
import Synchronization
package import WireTransport

/// TLS files of one purpose that a node uses, and reads again when they change.
package final class WatchedTLS: Sendable {
    /// What ends when, by the value of the label `kind`.
    package typealias Expiries = [(kind: String, expiry: CertificateExpiry)]

    let files: [String]
    /// The files as they were just before they were read first.
    let marks: [FileMark]
    private let load: @Sendable () throws(NodeStartError) -> Void
    private let currentExpiries: @Sendable () -> Expiries
    /// Why files that changed are not in use.
    private let refusal = Mutex<String?>(nil)

    /// - Parameters:
    ///   - load: reads all files and uses them for what connects from then on, or none.
    ///   - expiries: of what is in use.
    init(
        files: [String],
        marks: [FileMark],
        load: @escaping @Sendable () throws(NodeStartError) -> Void,
        expiries: @escaping @Sendable () -> Expiries
    ) {
        self.files = files
        self.marks = marks
        self.load = load
        currentExpiries = expiries
    }

    /// Reads the files again. Either all of them are used by whatever connects from now on, or none.
    ///
    /// - Throws: `NodeStartError`: which file cannot be used, and why; then those before stay in use.
    package func reload() throws(NodeStartError) {
        do throws(NodeStartError) {
            try load()
            refusal.withLock { $0 = nil }
        } catch {
            refusal.withLock { $0 = "\(error)" }
            throw error
        }
    }

    package var expiries: Expiries { currentExpiries() }

    /// What people should know of the certificates, as a sentence; nil for nothing.
    package var remark: String? {
        if let reason = refusal.withLock(\.self) {
            return "The TLS files have changed and cannot be used, those before are in use: \(reason)."
        }
        let now = Self.wallClockSecond
        return expiries.first { $0.expiry.lastSecond < now }.map {
            "A certificate in \($0.expiry.file) is out of date; peers refuse what it stands for."
        }
    }

    package func collect(into samples: inout MetricSamples) {
        let now = Self.wallClockSecond
        for (kind, expiry) in expiries {
            samples.add(MetricCatalogue.certificateRemaining, kind, value: Double(expiry.lastSecond - now))
        }
        let isRefused = refusal.withLock { $0 != nil }
        samples.add(MetricCatalogue.certificateFilesRefused, value: isRefused ? 1 : 0)
    }

    /// Certificates go by the wall clock, in seconds since 1970.
    static var wallClockSecond: Int64 { Int64(time(nil)) }
}

/// What tells one state of a file from another, without reading it.
struct FileMark: Hashable {
    private var device: UInt64 = 0
    private var inode: UInt64 = 0
    private var byteCount: Int64 = -1
    private var changeSecond = 0
    private var changeNanosecond = 0

    /// Follows links, so that a link which leads elsewhere is a change. A file that is not there has a mark as well.
    init(path: String) {
        var status = stat()
        guard unsafe stat(path, &status) == 0 else { return }
        device = UInt64(status.st_dev)
        inode = UInt64(status.st_ino)
        byteCount = Int64(status.st_size)
        changeSecond = status.st_ctim.tv_sec
        changeNanosecond = status.st_ctim.tv_nsec
    }
}
