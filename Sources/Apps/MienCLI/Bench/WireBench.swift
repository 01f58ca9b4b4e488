import FaceModel
import NIOCore
import VectorMath
import WireProtocol

/// Encodes messages into frames and reads them back, one thread, no socket.
struct WireBench {
    struct Subject {
        let name: String
        fileprivate let encode: () throws -> ByteBuffer
        fileprivate let decode: (Frame) throws -> Void
    }

    struct Result {
        var name: String
        var byteCount: Int
        /// Microseconds of CPU time a frame, medians.
        var encoding: Double
        /// Cutting the frame, its checksum and its fields.
        var decoding: Double
        /// Copying as many bytes.
        var copying: Double
    }

    static let dimension = 512
    private static let limits = WireLimits()
    /// CPU time of one pass; passes of several frames even out the clock.
    private static let passTime = Duration.milliseconds(4)

    static func subjects() -> [Subject] {
        var random = SplitMix64(seed: 1)
        func embeddings(_ count: Int) -> EmbeddingMatrix {
            EmbeddingMatrix(
                dimension: dimension,
                values: (0..<count * dimension).map { _ in Float.random(in: -1...1, using: &random) }
            )
        }
        func searching(_ count: Int) -> Subject {
            subject(
                "search, \(NumberText.counted(count, "probe"))",
                SearchFaces(
                    collection: "people",
                    embeddingModel: "model/1",
                    parameters: SearchParameters(matchLimit: 10, threshold: nil, effort: .recall(0.99)),
                    coverage: .full,
                    token: nil,
                    probes: embeddings(count)
                )
            )
        }
        func answering(_ count: Int) -> Subject {
            let matches = (0..<10).map { rank in
                Match(
                    faceID: FaceID(high: random.next(), low: random.next()),
                    similarity: 0.9 - Float(rank) / 20,
                    metadata: FaceMetadata(personID: "person-\(rank)")
                )
            }
            let answer = SearchAnswer(
                outcomes: Array(repeating: .matches(matches), count: count),
                coverage: Coverage(
                    shardsAsked: 3,
                    shardsAnswered: 3,
                    facesTotal: 1_000_000,
                    facesAnswered: 1_000_000,
                    rowsVisited: 350_000,
                    listsVisited: 900,
                    generation: 1,
                    missing: []
                ),
                elapsedMicroseconds: 850
            )
            return subject("answer, \(NumberText.counted(count, "probe")), k = 10", answer)
        }
        let rows = (0..<1000).map { number in
            EnrolRow(
                id: FaceID(high: random.next(), low: random.next()),
                metadata: FaceMetadata(personID: "person-\(number)")
            )
        }
        let enrolment = EnrolFaces(
            collection: "people",
            embeddingModel: "model/1",
            key: IdempotencyKey(high: 1, low: 2),
            rows: rows,
            embeddings: embeddings(rows.count)
        )
        return [
            searching(1), searching(100), answering(1), answering(100), subject("enrolment, 1000 faces", enrolment),
        ]
    }

    private static func subject<Message: WireMessage>(_ name: String, _ message: Message) -> Subject {
        Subject(
            name: name,
            encode: { try Frame.encode(message, stream: 1, payloadLimit: limits.payloadByteCount) },
            decode: { _ = try $0.decode(Message.self, limits: limits) }
        )
    }

    static func measure(_ subject: Subject, passCount: Int) throws -> Result {
        let bytes = try subject.encode()
        var copy = ByteBuffer()
        copy.reserveCapacity(bytes.readableBytes)
        let encoding = try microseconds(passCount) { _ = try subject.encode() }
        let decoding = try microseconds(passCount) {
            var decoder = FrameDecoder(payloadLimit: limits.payloadByteCount, isOpen: true)
            decoder.feed(bytes)
            guard case .frame(let frame)? = try decoder.next() else { preconditionFailure("a whole frame was fed") }
            try subject.decode(frame)
        }
        let copying = microseconds(passCount) {
            copy.clear()
            copy.writeImmutableBuffer(bytes)
        }
        return Result(
            name: subject.name,
            byteCount: bytes.readableBytes,
            encoding: encoding,
            decoding: decoding,
            copying: copying
        )
    }

    private static func microseconds<E: Error>(_ passCount: Int, _ body: () throws(E) -> Void) throws(E) -> Double {
        var times: [Double] = []
        // The first pass warms.
        for _ in 0...passCount {
            var count = 0
            let start = CPUClock.ofThisThread
            repeat {
                try body()
                count += 1
            } while CPUClock.ofThisThread - start < passTime
            times.append((CPUClock.ofThisThread - start) / .microseconds(1) / Double(count))
        }
        return PairedTimes.median(Array(times.dropFirst()))
    }
}
