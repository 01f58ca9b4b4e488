/// Why a connection's bytes can no longer be told apart into frames. The connection is lost, and nothing else.
package enum FrameError: Error, Hashable, Sendable {
    /// The first bytes are not the beginning of a hello; the value is the first four, as read.
    case notHello(firstBytes: UInt32)
    case headerChecksum
    case payloadChecksum(stream: UInt64)
    /// The header is sound, but its payload would be above the limit.
    case payloadLimit(stream: UInt64, byteCount: UInt32, limit: UInt32)
}

extension FrameError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .notHello(let bytes):
            switch bytes {
            case 0x2054_4547, 0x5449_5247, 0x4441_4548, 0x5453_4f50, 0x2054_5550:
                "the peer speaks HTTP; this port speaks Mien's own protocol"
            case _ where bytes & 0xffff == 0x0316:
                "the peer speaks TLS; this port is plain. Configure TLS on both sides or on neither"
            default: "the first bytes are not a Mien hello; check what connects to this port"
            }
        case .headerChecksum: "a frame header's checksum is wrong; the stream of frames is lost"
        case .payloadChecksum(let stream): "the checksum of the payload on stream \(stream) is wrong"
        case .payloadLimit(let stream, let byteCount, let limit):
            "a payload of \(byteCount) bytes on stream \(stream) is above the limit of \(limit); send less at a time"
        }
    }
}

extension FrameError: WireStatusConvertible {
    package var wireStatus: WireStatus {
        switch self {
        case .notHello, .headerChecksum: WireStatus(.malformedFrame, description)
        case .payloadChecksum:
            WireStatus(
                .unavailable,
                "\(description): it was damaged on its way, and nothing of it was done; send it again"
            )
        case .payloadLimit: WireStatus(.limitExceeded, description)
        }
    }
}
