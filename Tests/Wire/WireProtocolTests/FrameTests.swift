import NIOCore
import Synchronization
import Testing
import WireProtocol

struct FrameTests {
    /// Remembers where the bytes lie that it is written to.
    private final class Landmark: WireMessage {
        static let type = MessageType.ping
        private let place = Mutex<UInt>(0)

        init() {}

        init(decoding reader: inout PayloadReader) throws(WireDecodingError) {}

        var address: UInt { place.withLock { $0 } }
        var expectedByteCount: Int { 1 << 16 }

        func encode(into writer: inout PayloadWriter) {
            writer.zeros(1 << 15)
            let address = FrameTests.address(of: writer.buffer)
            place.withLock { $0 = address }
        }
    }

    private static func address(of buffer: ByteBuffer) -> UInt {
        buffer.withUnsafeReadableBytes { UInt(bitPattern: $0.baseAddress) }
    }

    @Test func theHeaderIsWrittenIntoTheBytesThatTheMessageWasWrittenTo() throws {
        let message = Landmark()
        let traced = TraceContext(traceparent: "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")
        for trace in [nil, traced] {
            let frame = try Frame.encode(message, stream: 1, payloadLimit: 1 << 20, trace: trace)
            #expect(message.address != 0)
            #expect(Self.address(of: frame) == message.address, "the frame was copied to write its header")
        }
    }
}
