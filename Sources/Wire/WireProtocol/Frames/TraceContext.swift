import NIOCore

/// Whose trace a request belongs to, in the 32 bytes before the fields of a traced request's payload.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 16 | trace id, most significant byte first; not zero |
/// | 16 | 8 | id of the calling span, most significant byte first; not zero |
/// | 24 | 1 | flags: bit 0, the caller records the trace |
/// | 25 | 7 | zeros, which are not looked at |
///
/// - SeeAlso: W3C Recommendation "Trace Context", the `traceparent` header, version 00.
package struct TraceContext: Hashable, Sendable {
    package static let byteCount = 32

    package let traceHigh: UInt64
    package let traceLow: UInt64
    package let span: UInt64
    package let flags: UInt8

    /// - Returns: nil for ids that name nothing.
    package init?(traceHigh: UInt64, traceLow: UInt64, span: UInt64, flags: UInt8) {
        guard traceHigh | traceLow != 0, span != 0 else { return nil }
        (self.traceHigh, self.traceLow, self.span, self.flags) = (traceHigh, traceLow, span, flags)
    }

    // MARK: Text

    /// Reads a `traceparent`; nil for one that is not, or of a version that is to be refused.
    package init?(traceparent text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        // Later versions may have more parts behind these.
        guard parts.count >= 4, parts[0] != "ff", parts[0] != "00" || parts.count == 4,
            let version = Self.number(parts[0], digitCount: 2), version <= 0xff,
            parts[1].utf8.count == 32,
            let high = Self.number(parts[1].prefix(16), digitCount: 16),
            let low = Self.number(parts[1].suffix(16), digitCount: 16),
            let span = Self.number(parts[2], digitCount: 16),
            let flags = Self.number(parts[3], digitCount: 2)
        else { return nil }
        self.init(traceHigh: high, traceLow: low, span: span, flags: UInt8(flags))
    }

    package var traceparent: String {
        "00-\(Self.digits(traceHigh, 16))\(Self.digits(traceLow, 16))-\(Self.digits(span, 16))"
            + "-\(Self.digits(UInt64(flags), 2))"
    }

    /// Of lower-case hexadecimal digits alone.
    private static func number(_ text: Substring, digitCount: Int) -> UInt64? {
        guard text.utf8.count == digitCount, text.utf8.allSatisfy({ 48...57 ~= $0 || 97...102 ~= $0 }) else {
            return nil
        }
        return UInt64(text, radix: 16)
    }

    private static func digits(_ number: UInt64, _ count: Int) -> String {
        let digits = String(number, radix: 16)
        return String(repeating: "0", count: count - digits.count) + digits
    }

    // MARK: Bytes

    /// Takes the first bytes of a payload; nil when they name nothing. Nothing is taken from too few, which no decoder
    /// lets through.
    init?(taking payload: inout ByteBuffer) {
        guard let bytes = payload.readSlice(length: Self.byteCount) else { return nil }
        let start = bytes.readerIndex
        guard let high = bytes.getInteger(at: start, as: UInt64.self),
            let low = bytes.getInteger(at: start + 8, as: UInt64.self),
            let span = bytes.getInteger(at: start + 16, as: UInt64.self),
            let flags = bytes.getInteger(at: start + 24, as: UInt8.self)
        else { return nil }
        self.init(traceHigh: high, traceLow: low, span: span, flags: flags)
    }

    /// Writes over the zeros at `index`, which are already part of the buffer.
    func write(to buffer: inout ByteBuffer, at index: Int) {
        buffer.setInteger(traceHigh, at: index)
        buffer.setInteger(traceLow, at: index + 8)
        buffer.setInteger(span, at: index + 16)
        buffer.setInteger(flags, at: index + 24)
    }
}

/// Optional behaviour that both sides of a connection must know, as bits.
package struct WireFeatures: OptionSet, Hashable, Sendable {
    package let rawValue: UInt64

    package init(rawValue: UInt64) { self.rawValue = rawValue }

    /// Requests may have a ``TraceContext`` before their fields, told by ``FrameFlags/traced``.
    package static let traceContext = WireFeatures(rawValue: 1 << 0)
    /// Messages may have more fields at their end than the receiver knows, which it passes over, or fewer.
    package static let laterFields = WireFeatures(rawValue: 1 << 1)
    /// What a request says that it must not be done without is gone by: ``WireRequest/needsGuards``.
    package static let guards = WireFeatures(rawValue: 1 << 2)
    /// Those that this build knows.
    package static let known: WireFeatures = [.traceContext, .laterFields, .guards]

    /// Flags that frames of a connection with these features may have.
    package var frameFlags: FrameFlags { contains(.traceContext) ? .traced : [] }
}

/// What a frame is besides its type.
package struct FrameFlags: OptionSet, Hashable, Sendable {
    package let rawValue: UInt16

    package init(rawValue: UInt16) { self.rawValue = rawValue }

    /// The payload begins with a ``TraceContext``.
    package static let traced = FrameFlags(rawValue: 1 << 0)
}
