/// A call's outcome when it is not its reply: a code for programs, a sentence for people.
package struct WireStatus: Error, Hashable, Sendable {
    package var code: StatusCode
    /// One sentence: what was wrong, where, what to do. At most 4096 bytes go over the wire.
    package var message: String
    /// Least time to wait before a retry; 0 when the caller may choose.
    package var retryAfterMilliseconds: UInt32
    /// The peer was lost while the call was under way there, and may have died of it. Known on this side only: it goes
    /// over no wire.
    package var isLoss = false
    /// No connection to the peer came about, be it that nobody answered or that one side refuses the other: what
    /// another peer says may be different. Known on this side only: it goes over no wire.
    package var isOfConnection = false
    /// The peer took the connection, and said nothing in the time that it had for its hello. Known on this side only:
    /// it goes over no wire.
    package var isOfSilence = false
    /// Nothing of the call was done, and nothing of it will be. Otherwise that is not known. What earlier sendings of
    /// the same call did is not meant.
    package var hasNoEffect = false

    package init(code: StatusCode, message: String, retryAfterMilliseconds: UInt32 = 0) {
        self.code = code
        self.message = message
        self.retryAfterMilliseconds = retryAfterMilliseconds
    }

    package init(_ code: StatusCode, _ message: String, retryAfterMilliseconds: UInt32 = 0) {
        self.init(code: code, message: message, retryAfterMilliseconds: retryAfterMilliseconds)
    }

    package static let messageByteLimit = 4096

    /// The same of a call of which nothing was done.
    package var withoutEffect: WireStatus {
        var status = self
        status.hasNoEffect = true
        return status
    }

    /// The same of a connection that did not come about.
    package var ofConnection: WireStatus {
        var status = self
        status.isOfConnection = true
        return status
    }
}

extension WireStatus: CustomStringConvertible {
    package var description: String { "\(code): \(message)" }
}

extension WireStatus: WireStatusConvertible {
    package var wireStatus: WireStatus { self }
}

/// An error that knows what a caller on the other side of the wire should be told.
package protocol WireStatusConvertible: Error {
    var wireStatus: WireStatus { get }
}

extension WireStatus: WireMessage {
    package static var type: MessageType { .status }

    package func encode(into writer: inout PayloadWriter) {
        writer.integer(code.rawValue)
        writer.integer(code.retry.rawValue)
        writer.integer(UInt8(0))
        writer.integer(retryAfterMilliseconds)
        writer.string(message.truncated(toByteCount: Self.messageByteLimit), "message")
        writer.later { $0.flag(hasNoEffect) }
    }

    package init(decoding reader: inout PayloadReader) throws(WireDecodingError) {
        let number: UInt16 = try reader.integer("code")
        let advice: RetryAdvice = try reader.enumeration("retry advice")
        try reader.zero(byteCount: 1)
        let retryAfter: UInt32 = try reader.integer("retry after")
        let message = try reader.string("message", limit: Self.messageByteLimit)
        self.init(
            code: StatusCode(rawValue: number) ?? StatusCode(standingFor: advice),
            message: message,
            retryAfterMilliseconds: retryAfter
        )
        hasNoEffect = try reader.later(false) { (reader) throws(WireDecodingError) in try reader.flag("no effect") }
    }
}

extension String {
    /// The longest prefix of whole characters that fits.
    fileprivate func truncated(toByteCount limit: Int) -> String {
        guard utf8.count > limit else { return self }
        var end = utf8.index(startIndex, offsetBy: limit)
        while end.samePosition(in: unicodeScalars) == nil { end = utf8.index(before: end) }
        return String(self[..<end])
    }
}
