package import NIOCore

/// Notices peers that stall: a begun frame that does not end, an idle connection, answers that are not taken in.
///
/// Pure: told what happens, asked at intervals.
package struct ConnectionWatch {
    /// Slowest peer that is put up with, while one of its frames is on its way.
    static let leastBytesPerSecond = 64 << 10
    /// What a peer must take in per `slowReaderTimeout` while bytes wait for it.
    static let leastTakenByteCount = 1 << 20

    private let frameTimeout: TimeAmount
    private let idleTimeout: TimeAmount
    private let slowReaderTimeout: TimeAmount
    private var lastRead: NIODeadline
    /// When the frame that is not whole yet began, and its size as far as known.
    private var frame: (began: NIODeadline, byteCount: Int)?
    /// Since when the peer is behind, and how much it had taken in then.
    private var behind: (since: NIODeadline, takenByteCount: Int)?

    package init(_ configuration: WireServerConfiguration, now: NIODeadline) {
        frameTimeout = TimeAmount(clamping: configuration.frameTimeout)
        idleTimeout = TimeAmount(clamping: configuration.idleTimeout)
        slowReaderTimeout = TimeAmount(clamping: configuration.slowReaderTimeout)
        lastRead = now
    }

    /// Bytes have come.
    ///
    /// - Parameters:
    ///   - frameCount: frames that they ended.
    ///   - unfinishedByteCount: size of the frame that has begun; nil when none has.
    package mutating func bytesRead(now: NIODeadline, frameCount: Int, unfinishedByteCount: Int?) {
        lastRead = now
        guard let unfinishedByteCount else {
            frame = nil
            return
        }
        frame = (frameCount == 0 ? frame?.began ?? now : now, unfinishedByteCount)
    }

    /// - Returns: why the connection must be closed; nil when it may go on.
    package mutating func check(now: NIODeadline, isWritable: Bool, takenByteCount: Int, isIdle: Bool) -> String? {
        guard isWritable else {
            // Nothing is read from a peer that is behind, so its frame cannot end.
            frame?.began = now
            guard let behind else {
                self.behind = (now, takenByteCount)
                return nil
            }
            guard now - behind.since >= slowReaderTimeout else { return nil }
            if takenByteCount - behind.takenByteCount < Self.leastTakenByteCount {
                return "the peer does not read its answers"
            }
            self.behind = (now, takenByteCount)
            return nil
        }
        behind = nil
        if let frame {
            let allowance = TimeAmount.seconds(Int64(frame.byteCount / Self.leastBytesPerSecond))
            if now - frame.began > frameTimeout + allowance { return "a frame did not end in time" }
        }
        if isIdle, now - lastRead > idleTimeout { return "idle for \(idleTimeout.nanoseconds / 1_000_000_000) s" }
        return nil
    }
}
