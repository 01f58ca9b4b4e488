internal import BinaryCoding
internal import Checksum
package import FaceModel

/// One operation in the order that the replicas of a shard agree on; on disk, and between replicas, as one and the same
/// bytes.
///
/// | offset | bytes | field |
/// |---|---|---|
/// | 0 | 4 | magic `MLOG` |
/// | 4 | 2 | layout, 1 |
/// | 6 | 1 | kind of the operation |
/// | 7 | 1 | zero |
/// | 8 | 8 | epoch of the primary that ordered it |
/// | 16 | 8 | sequence |
/// | 24 | 8, 8 | idempotency key: high, low |
/// | 40 | 8 | chain |
/// | 48 | 4 | payload byte count |
/// | 52 | 4 | CRC-32C of the payload |
/// | 56 | 4 | zero |
/// | 60 | 4 | CRC-32C of bytes 0 ..< 60 |
/// | 64 | … | payload, see ``LogOperation`` |
package struct LogEntry: Hashable, Sendable {
    package static let headerByteCount = 64
    /// Most bytes of an entry.
    package static let byteLimit = 16 << 20
    private static let magic: UInt32 = 0x474f_4c4d
    private static let layout: UInt16 = 1

    package let epoch: UInt64
    package let sequence: UInt64
    package let key: IdempotencyKey
    /// The link at this entry; see ``LogChain``.
    package let chain: UInt64
    package let operation: LogOperation
    private let payloadChecksum: UInt32
    private let bytes: [UInt8]

    /// An entry behind one whose chain is `previousChain`.
    ///
    /// - Precondition: valid metadata, finite embeddings, as many as rows.
    package init(
        epoch: UInt64,
        sequence: UInt64,
        key: IdempotencyKey,
        operation: LogOperation,
        after previousChain: UInt64
    ) throws(LogEntryError) {
        var payload = ByteWriter(reservingByteCount: Self.payloadEstimate(operation))
        operation.write(to: &payload)
        let byteCount = Self.headerByteCount + payload.bytes.count
        guard byteCount <= Self.byteLimit else { throw .tooLarge(byteCount: byteCount) }
        let checksum = unsafe payload.bytes.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        let chain = LogChain.link(
            after: previousChain,
            epoch: epoch,
            sequence: sequence,
            key: key,
            kind: operation.kind,
            payloadByteCount: payload.bytes.count,
            payloadChecksum: checksum
        )
        var writer = ByteWriter(reservingByteCount: byteCount)
        writer.write(Self.magic)
        writer.write(Self.layout)
        writer.write(operation.kind)
        writer.write(UInt8(0))
        writer.write(epoch)
        writer.write(sequence)
        writer.write(key.high)
        writer.write(key.low)
        writer.write(chain)
        writer.write(UInt32(payload.bytes.count))
        writer.write(checksum)
        writer.write(UInt32(0))
        let headerChecksum = unsafe writer.bytes.withUnsafeBytes { unsafe CRC32C.checksum($0) }
        writer.write(headerChecksum)
        writer.write(bytes: payload.bytes)
        self.epoch = epoch
        self.sequence = sequence
        self.key = key
        self.chain = chain
        payloadChecksum = checksum
        bytes = writer.bytes
        // The same bytes once, not twice.
        let whole = writer.bytes
        let stored = operation.embeddings.map {
            StoredEmbeddings(shape: $0.shape, bytes: whole.suffix($0.bytes.count))
        }
        switch (operation, stored) {
        case (.enrol(let rows, _), let stored?): self.operation = .enrol(rows: rows, embeddings: stored)
        case (.restore(let rows, _, let isLast), let stored?):
            self.operation = .restore(rows: rows, embeddings: stored, isLast: isLast)
        default: self.operation = operation
        }
    }

    /// Reads an entry from anywhere: every field is checked, nothing is believed.
    package init(bytes: [UInt8]) throws(LogEntryError) {
        guard bytes.count >= Self.headerByteCount else { throw .malformed(reason: "\(bytes.count) bytes") }
        guard bytes.count <= Self.byteLimit else { throw .tooLarge(byteCount: bytes.count) }
        let range = Self.headerByteCount..<bytes.count
        let header = try Header(bytes)
        self.bytes = bytes
        epoch = header.epoch
        sequence = header.sequence
        key = header.key
        chain = header.chain
        payloadChecksum = header.payloadChecksum
        operation = try LogOperation(kind: header.kind, of: bytes, in: range)
    }

    /// What ``init(bytes:)`` reads.
    package func encoded() -> [UInt8] { bytes }

    package var byteCount: Int { bytes.count }

    /// Bytes of the entry that begins a value, by what its header says, which is not checked here.
    static func byteCount(ofEntryIn value: UnsafeRawBufferPointer) -> Int {
        guard value.count >= headerByteCount else { return value.count }
        return unsafe headerByteCount
            + Int(UInt32(littleEndian: value.loadUnaligned(fromByteOffset: 48, as: UInt32.self)))
    }

    /// Whether the entry is the next one behind an entry with this chain.
    package func continues(_ previousChain: UInt64) -> Bool {
        chain
            == LogChain.link(
                after: previousChain,
                epoch: epoch,
                sequence: sequence,
                key: key,
                kind: operation.kind,
                payloadByteCount: bytes.count - Self.headerByteCount,
                payloadChecksum: payloadChecksum
            )
    }

    package static func == (left: LogEntry, right: LogEntry) -> Bool { left.bytes == right.bytes }

    package func hash(into hasher: inout Hasher) {
        hasher.combine(chain)
    }

    private static func payloadEstimate(_ operation: LogOperation) -> Int {
        switch operation {
        case .beginEpoch: 0
        case .enrol(let rows, let embeddings): 8 + 64 * rows.count + embeddings.bytes.count
        case .delete(let faces), .expire(_, let faces): 12 + 16 * faces.count
        case .restore(let rows, let embeddings, _): 8 + 80 * rows.count + embeddings.bytes.count
        }
    }
}

extension LogEntry {
    /// The fields before the payload.
    private struct Header {
        let kind: UInt8
        let epoch: UInt64
        let sequence: UInt64
        let key: IdempotencyKey
        let chain: UInt64
        let payloadChecksum: UInt32

        /// Reads the header of an entry of at least its size, and holds both checksums against the bytes.
        init(_ bytes: [UInt8]) throws(LogEntryError) {
            let isSound = unsafe bytes.withUnsafeBytes { bytes in
                unsafe CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[..<60]))
                    == UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 60, as: UInt32.self))
                    && CRC32C.checksum(UnsafeRawBufferPointer(rebasing: bytes[LogEntry.headerByteCount...]))
                        == UInt32(littleEndian: bytes.loadUnaligned(fromByteOffset: 52, as: UInt32.self))
            }
            guard isSound else { throw .checksumMismatch }
            do throws(BinaryCodingError) {
                self = try unsafe bytes.span.bytes.withUnsafeBytes { bytes throws(BinaryCodingError) in
                    var reader = unsafe ByteReader(bytes)
                    guard try reader.read() == LogEntry.magic, try reader.read() == LogEntry.layout else {
                        throw BinaryCodingError.invalidValue(field: "layout", offset: 0)
                    }
                    return try Header(&reader)
                }
            } catch {
                throw .malformed(reason: "\(error)")
            }
        }

        /// Reads on from behind the layout.
        private init(_ reader: inout ByteReader) throws(BinaryCodingError) {
            kind = try reader.read()
            guard try reader.read(UInt8.self) == 0 else { throw .invalidValue(field: "zero", offset: 7) }
            epoch = try reader.read()
            sequence = try reader.read()
            guard max(epoch, sequence) <= PartitionState.counterLimit else {
                throw .invalidValue(field: "epoch or sequence", offset: 8)
            }
            key = IdempotencyKey(high: try reader.read(), low: try reader.read())
            chain = try reader.read()
            let payloadByteCount = try reader.read(UInt32.self)
            payloadChecksum = try reader.read()
            guard try reader.read(UInt32.self) == 0 else { throw .invalidValue(field: "zero", offset: 56) }
            try reader.skip(byteCount: 4)
            guard reader.remainingByteCount == Int(payloadByteCount) else {
                throw .invalidValue(field: "payload byte count", offset: 48)
            }
        }
    }
}
