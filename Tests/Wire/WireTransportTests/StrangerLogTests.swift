import ClusterModel
import Logging
import NIOCore
import Synchronization
import Testing
import WireProtocol
import WireTransport

/// What strangers can make a node write down.
struct StrangerLogTests {
    /// Keeps what is logged.
    private final class LineRecorder: LogHandler {
        private let recorded = Mutex<[String]>([])

        var lines: [String] { recorded.withLock(\.self) }

        var metadata: Logger.Metadata {
            get { [:] }
            set {}
        }

        var logLevel: Logger.Level {
            get { .trace }
            set {}
        }

        subscript(metadataKey key: String) -> Logger.Metadata.Value? {
            get { nil }
            set {}
        }

        func log(event: LogEvent) {
            recorded.withLock { $0.append("\(event.message) \(event.metadata ?? [:])") }
        }
    }

    @Test func strangersMakeAFewLinesAndHideNothingOfThePeers() async throws {
        let recorder = LineRecorder()
        let configuration = Fixture.configuration { $0.logger = Logger(label: "test") { _ in recorder } }
        try await Fixture.withServer(Fixture.counting, configuration) { server in
            let start = ContinuousClock.now
            for _ in 0..<200 {
                let stranger = try await RawPeer.connect(port: server.address.port)
                try await stranger.send(Array("GET / HTTP/1.1\r\n\r\n".utf8))
                #expect(try await stranger.readToEnd() == [])
                let status = await Fixture.status { () async throws(WireStatus) in
                    try await WireConnection.connect(
                        to: server.address,
                        as: .client,
                        token: "another token",
                        tls: nil,
                        on: Fixture.group.next(),
                        agent: "test",
                        timeout: .seconds(10)
                    )
                }
                #expect(status?.code == .unauthenticated)
            }
            // Ten at once, and one a second in the long run.
            let most = 10 * (1 + Int((ContinuousClock.now - start).components.seconds) / 10)
            let lines = recorder.lines
            #expect((10...most).contains(lines.count), "\(lines.count) lines")
            #expect(lines.first?.hasPrefix("connection closed: ") == true, "\(lines)")
            #expect(lines.dropFirst().first?.hasPrefix("connection refused: ") == true, "\(lines)")

            // Whoever has said a right hello and then sends what is no frame is told of all the same.
            let peer = try await RawPeer.connect(port: server.address.port)
            try await peer.send(Fixture.helloFrame())
            #expect(try await peer.readFrames(1).first?.header.type == .helloReply)
            try await peer.send([UInt8](repeating: 0xff, count: 256))
            #expect(try await peer.readToEnd() == [])
            let later = recorder.lines.dropFirst(lines.count)
            #expect(later.contains { $0.contains(FrameError.headerChecksum.description) }, "\(later)")
        }
    }
}
