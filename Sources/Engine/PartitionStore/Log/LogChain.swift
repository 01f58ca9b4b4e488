internal import Checksum
internal import FaceModel

/// Links every write to all before it: two replicas whose chains agree at a sequence have the same writes up to it.
///
/// The link of an entry is the SipHash-2-4, keyed by the link before, of its epoch, sequence and idempotency key, of
/// its kind and payload's byte count, and of the payload's CRC-32C. Two entries of one epoch and sequence are two
/// writes, by a bug or a fault, and differ in 128 random bits of key; the same write with other content differs in the
/// CRC. So a false agreement takes an accident of one in 2⁶⁴, or a fault that keeps the key and one in 2³².
///
/// It guards against accidents: replicas trust each other's hands. A SHA-256 of the payload, which an attacker could
/// not work around either, takes 1.1 to 1.5 µs a face of 1 KiB here, a tenth of what storing it takes; the CRC takes
/// 0.1, and is needed anyway.
enum LogChain {
    /// Second word of the hash's key: "mien log" in ASCII, and the same less one for writes without a log.
    private static let logged: UInt64 = 0x6d69_656e_206c_6f67
    private static let unlogged = logged - 1
    private static let succession = logged - 2

    static func link(
        after previous: UInt64,
        epoch: UInt64,
        sequence: UInt64,
        key: IdempotencyKey,
        kind: UInt8,
        payloadByteCount: Int,
        payloadChecksum: UInt32
    ) -> UInt64 {
        SipHash.hash64(key: (previous, logged)) { hash in
            hash.add(epoch)
            hash.add(sequence)
            hash.add(key.high)
            hash.add(key.low)
            hash.add(UInt64(kind) << 32 | UInt64(payloadByteCount))
            hash.add(UInt64(payloadChecksum))
        }
    }

    /// The link where logs end and another begins that has the faces of all of them.
    static func link(afterAll chains: [UInt64]) -> UInt64 {
        SipHash.hash64(key: (succession, logged)) { hash in
            for chain in chains { hash.add(chain) }
        }
    }

    /// The link of a write that was not logged.
    ///
    /// Its content is left out: nobody else has the write as an entry, so no other link has to agree with this one. It
    /// only has to differ from that of any entry, so that a replica with another write in its place is told so.
    static func unloggedLink(
        after previous: UInt64,
        epoch: UInt64,
        sequence: UInt64,
        key: IdempotencyKey
    ) -> UInt64 {
        SipHash.hash64(key: (previous, unlogged)) { hash in
            hash.add(epoch)
            hash.add(sequence)
            hash.add(key.high)
            hash.add(key.low)
        }
    }
}
