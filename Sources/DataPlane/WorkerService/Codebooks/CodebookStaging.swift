package import ClusterModel
import Crypto
package import WireProtocol

/// Gathers the slices of codebooks that are being sent to replicas, until each is whole and its digest right.
///
/// Slices come in order; the one at offset 0 starts afresh, and one that is already here is taken as a repetition.
/// Bytes are bounded over all replicas. A gathering nobody continues is dropped when another needs its place.
package struct CodebookStaging {
    /// Longest pause between two slices after which another gathering may take the place.
    package static let idleLimit = Duration.seconds(60)

    package enum Outcome: Equatable {
        case needsMore
        case complete([UInt8])
    }

    private struct Gathering {
        let generation: UInt32
        let digest: [UInt8]
        let totalByteCount: Int
        var bytes: [UInt8]
        var lastSlice: ContinuousClock.Instant
    }

    package let byteLimit: Int
    private var gatherings: [ShardID: Gathering] = [:]

    package init(byteLimit: Int) {
        self.byteLimit = byteLimit
    }

    /// Codebook bytes promised to the gatherings under way.
    package var reservedByteCount: Int { gatherings.values.reduce(0) { $0 + $1.totalByteCount } }

    /// Adds one slice.
    ///
    /// - Throws: `invalidRequest`, `limitExceeded` or `overloaded`; the gathering is then as before, but gone after a
    ///   wrong digest.
    package mutating func add(_ request: InstallCodebook, now: ContinuousClock.Instant) throws(WireStatus) -> Outcome {
        let slice = request.slice
        guard request.digest.count == SHA256.byteCount else {
            throw Refusal.invalid("the digest of a codebook is 32 bytes, not \(request.digest.count)")
        }
        guard slice.totalByteCount > 0, slice.totalByteCount <= UInt64(byteLimit) else {
            throw WireStatus(
                code: .limitExceeded,
                message: "a codebook may have from 1 to \(byteLimit) bytes, not \(slice.totalByteCount)"
            )
        }
        let (end, overflow) = slice.offset.addingReportingOverflow(UInt64(slice.bytes.count))
        guard !overflow, end <= slice.totalByteCount, !slice.bytes.isEmpty else {
            throw Refusal.invalid("a slice of \(slice.bytes.count) bytes at \(slice.offset) is not inside the codebook")
        }
        if slice.offset == 0 { try begin(request, now: now) }
        guard var gathering = gatherings[request.shard], gathering.generation == request.generation,
            gathering.digest == request.digest, gathering.totalByteCount == Int(slice.totalByteCount),
            slice.offset <= UInt64(gathering.bytes.count)
        else {
            throw Refusal.invalid(
                "the codebook slice at \(slice.offset) does not continue what came before; send it from offset 0"
            )
        }
        // Taken out first, so that appending does not copy what is there.
        gatherings[request.shard] = nil
        gathering.lastSlice = now
        if end > UInt64(gathering.bytes.count) {
            gathering.bytes.append(contentsOf: slice.bytes.dropFirst(gathering.bytes.count - Int(slice.offset)))
        }
        guard gathering.bytes.count == gathering.totalByteCount else {
            gatherings[request.shard] = gathering
            return .needsMore
        }
        guard Self.digest(of: gathering.bytes) == gathering.digest else {
            throw Refusal.invalid("the codebook's SHA-256 is not the one announced; send it again from offset 0")
        }
        return .complete(gathering.bytes)
    }

    /// Forgets what was gathered for a replica.
    package mutating func drop(_ shard: ShardID) {
        gatherings[shard] = nil
    }

    private mutating func begin(_ request: InstallCodebook, now: ContinuousClock.Instant) throws(WireStatus) {
        gatherings[request.shard] = nil
        gatherings = gatherings.filter { now - $0.value.lastSlice < Self.idleLimit }
        guard reservedByteCount + Int(request.slice.totalByteCount) <= byteLimit else {
            throw WireStatus(
                code: .overloaded,
                message: "the worker is receiving other codebooks up to its limit of \(byteLimit) bytes",
                retryAfterMilliseconds: 1000
            )
        }
        gatherings[request.shard] = Gathering(
            generation: request.generation,
            digest: request.digest,
            totalByteCount: Int(request.slice.totalByteCount),
            bytes: [],
            lastSlice: now
        )
    }

    package static func digest(of bytes: [UInt8]) -> [UInt8] {
        var hash = SHA256()
        unsafe bytes.withUnsafeBytes { unsafe hash.update(bufferPointer: $0) }
        return Array(hash.finalize())
    }
}
