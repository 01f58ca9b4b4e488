import Checksum
import FaceModel
import NIOCore
package import WireProtocol

/// Requests that workers were lost under, as long as they are refused: whoever sends one of them again would take two
/// more workers along.
///
/// Of each only a hash under a key of this process is kept: nothing can be learned of a face from it. Not thread-safe.
package struct DeadlyRequests: Sendable {
    /// Long enough for workers to come back and for people to read the log.
    package static let refusalTime = Duration.seconds(300)
    /// More at once are not remembered: the oldest is forgotten.
    package static let limit = 256

    private let key = (UInt64.random(in: .min ... .max), UInt64.random(in: .min ... .max))
    private var ends: [UInt128: ContinuousClock.Instant] = [:]

    package init() {}

    /// Refuses a request from now on, and all that are like it.
    package mutating func remember(_ request: some WireRequest, now: ContinuousClock.Instant) {
        ends = ends.filter { $0.value > now }
        if ends.count >= Self.limit, let oldest = ends.min(by: { $0.value < $1.value }) {
            ends.removeValue(forKey: oldest.key)
        }
        ends[fingerprint(of: request)] = now + Self.refusalTime
    }

    /// How much longer the request is refused; nil when it is not. Costs nothing while none is remembered.
    package func refusal(of request: some WireRequest, now: ContinuousClock.Instant) -> Duration? {
        guard ends.contains(where: { $0.value > now }) else { return nil }
        return ends[fingerprint(of: request)].flatMap { $0 > now ? $0 - now : nil }
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
