import Checksum
import FaceModel
import NIOCore
package import WireProtocol

/// Requests that workers were lost under, as long as they are refused, since whoever sends one of them again would take
/// more workers along, or suspected: see ``LostWorkers``.
///
/// Of each only a hash under a key of this process is kept: nothing can be learned of a face from it. Not thread-safe.
package struct DeadlyRequests: Sendable {
    package enum Standing: Hashable, Sendable {
        /// It is taken, and one more loss is enough.
        case suspected
        /// For so much longer.
        case refused(Duration)
    }

    private struct Entry {
        var end: ContinuousClock.Instant
        var isDeadly: Bool
    }

    /// Long enough for workers to come back and for people to read the log.
    package static let refusalTime = Duration.seconds(300)
    /// More at once are not remembered: the oldest is forgotten.
    package static let limit = 256

    private let key = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))
    private var entries: [UInt128: Entry] = [:]

    package init() {}

    /// Refuses a request from now on, or suspects it, and all that are like it.
    package mutating func remember(_ request: some WireRequest, isDeadly: Bool, now: ContinuousClock.Instant) {
        entries = entries.filter { $0.value.end > now }
        if entries.count >= Self.limit, let oldest = entries.min(by: { $0.value.end < $1.value.end }) {
            entries.removeValue(forKey: oldest.key)
        }
        let hash = fingerprint(of: request)
        let isDeadly = isDeadly || entries[hash]?.isDeadly ?? false
        entries[hash] = Entry(end: now + Self.refusalTime, isDeadly: isDeadly)
    }

    /// A suspected request has been answered, and nobody was lost.
    package mutating func acquit(_ request: some WireRequest) {
        let hash = fingerprint(of: request)
        if entries[hash]?.isDeadly == false { entries[hash] = nil }
    }

    /// What is held against a request; nil when nothing is. Costs nothing while none is remembered.
    package func standing(of request: some WireRequest, now: ContinuousClock.Instant) -> Standing? {
        guard entries.contains(where: { $0.value.end > now }),
            let entry = entries[fingerprint(of: request)], entry.end > now
        else { return nil }
        return entry.isDeadly ? .refused(entry.end - now) : .suspected
    }

    /// Of what the request asks for, whenever it is sent: a write is another attempt under another key as well.
    private func fingerprint(of request: some WireRequest) -> UInt128 {
        var writer = PayloadWriter(ByteBuffer())
        switch request {
        case var request as EnrolFaces:
            (request.key, request.age) = (IdempotencyKey(high: 0, low: 0), .zero)
            request.encode(into: &writer)
        case var request as DeleteFaces:
            (request.key, request.age) = (IdempotencyKey(high: 0, low: 0), .zero)
            request.encode(into: &writer)
        default: request.encode(into: &writer)
        }
        var bytes = writer.buffer
        return SipHash.hash128(key: key) { hash in
            hash.add(UInt64(type(of: request).type.rawValue))
            hash.add(UInt64(bytes.readableBytes))
            while let word = bytes.readInteger(endianness: .little, as: UInt64.self) { hash.add(word) }
            while let byte = bytes.readInteger(as: UInt8.self) { hash.add(UInt64(byte)) }
        }
    }
}
