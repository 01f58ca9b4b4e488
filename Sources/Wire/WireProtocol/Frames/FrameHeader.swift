import Checksum
import NIOCore

/// The 32 bytes before every payload, little-endian.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | payload byte count |
/// | 4 | 2 | message type |
/// | 6 | 2 | ``FrameFlags`` |
/// | 8 | 8 | stream: names a request on its connection; its reply carries the same; 0 is the connection itself |
/// | 16 | 8 | microseconds until the deadline, as of sending; 0 for none |
/// | 24 | 4 | CRC-32C of the payload |
/// | 28 | 4 | CRC-32C of bytes 0–27 |
package struct FrameHeader: Hashable, Sendable {
    package static let byteCount = 32

    package var payloadByteCount: UInt32
    /// A ``MessageType``, or a number this build does not know.
    package var typeNumber: UInt16
    package var flags: UInt16
    package var stream: UInt64
    package var deadlineMicroseconds: UInt64
    package var payloadChecksum: UInt32

    package init(
        payloadByteCount: UInt32,
        typeNumber: UInt16,
        flags: UInt16 = 0,
        stream: UInt64,
        deadlineMicroseconds: UInt64 = 0,
        payloadChecksum: UInt32
    ) {
        self.payloadByteCount = payloadByteCount
        self.typeNumber = typeNumber
        self.flags = flags
        self.stream = stream
        self.deadlineMicroseconds = deadlineMicroseconds
        self.payloadChecksum = payloadChecksum
    }

    package var type: MessageType? { MessageType(rawValue: typeNumber) }
    package var frameFlags: FrameFlags { FrameFlags(rawValue: flags) }
    /// Whether the payload is too short for the ``TraceContext`` that it is to begin with.
    package var lacksTrace: Bool {
        frameFlags.contains(.traced) && payloadByteCount < TraceContext.byteCount
    }

    /// Reads the header at the buffer's beginning without consuming it.
    ///
    /// - Returns: nil while fewer than 32 bytes are there.
    init?(peeking buffer: ByteBuffer) throws(FrameError) {
        guard buffer.readableBytes >= Self.byteCount else { return nil }
        let checksum = unsafe buffer.withUnsafeReadableBytes {
            unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0.prefix(Self.byteCount - 4)))
        }
        var rest = buffer
        guard
            let (payloadByteCount, typeNumber, flags, stream, deadline, payloadChecksum, headerChecksum) =
                rest.readMultipleIntegers(
                    endianness: .little,
                    as: (UInt32, UInt16, UInt16, UInt64, UInt64, UInt32, UInt32).self
                )
        else { return nil }
        guard checksum == headerChecksum else { throw .headerChecksum }
        self.init(
            payloadByteCount: payloadByteCount,
            typeNumber: typeNumber,
            flags: flags,
            stream: stream,
            deadlineMicroseconds: deadline,
            payloadChecksum: payloadChecksum
        )
    }

    /// Writes the header over the 32 bytes at `index`, which are already part of the buffer.
    func write(to buffer: inout ByteBuffer, at index: Int) {
        buffer.setInteger(payloadByteCount, at: index, endianness: .little)
        buffer.setInteger(typeNumber, at: index + 4, endianness: .little)
        buffer.setInteger(flags, at: index + 6, endianness: .little)
        buffer.setInteger(stream, at: index + 8, endianness: .little)
        buffer.setInteger(deadlineMicroseconds, at: index + 16, endianness: .little)
        buffer.setInteger(payloadChecksum, at: index + 24, endianness: .little)
        buffer.setInteger(buffer.checksum(at: index, byteCount: 28), at: index + 28, endianness: .little)
    }
}

extension ByteBuffer {
    /// CRC-32C of bytes that lie between the reader and the writer index.
    func checksum(at index: Int, byteCount: Int) -> UInt32 {
        unsafe withUnsafeReadableBytes {
            let first = index - readerIndex
            return unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: $0[first..<first + byteCount]))
        }
    }
}
