import FaceModel
import NIOCore
import Testing
import WireProtocol

struct WireStatusTests {
    @Test func everyCodeAndItsAdviceSurviveTheWire() throws {
        for code in StatusCode.allCases {
            let status = WireStatus(code, "why", retryAfterMilliseconds: 7)
            #expect(try Wire.decode(Wire.payloadBytes(status), like: status) == status)
        }
    }

    @Test func thatNothingWasDoneSurvivesTheWire() throws {
        let status = WireStatus(.unavailable, "why")
        #expect(try !Wire.decode(Wire.payloadBytes(status), like: status).hasNoEffect)
        let refusal = status.withoutEffect
        let payload = Wire.payloadBytes(refusal)
        #expect(try Wire.decode(payload, like: refusal) == refusal)
        // An earlier peer does not say so.
        #expect(try Wire.decode(Array(payload.dropLast()), like: refusal) == status)
    }

    @Test(arguments: zip(RetryAdvice.allCases, [StatusCode.unavailable, .staleEpoch, .internalError]))
    func aCodeOfANewerPeerIsReadByItsAdvice(advice: RetryAdvice, code: StatusCode) throws {
        var payload = Wire.payloadBytes(WireStatus(.notFound, "new"))
        payload.replaceSubrange(0..<3, with: [0x00, 0x7f, advice.rawValue])
        let status = try Wire.decode(payload, like: WireStatus(.notFound, ""))
        #expect(status == WireStatus(code, "new"))
    }

    @Test func longSentencesAreCutAtAWholeCharacter() throws {
        let status = WireStatus(.notFound, "x" + String(repeating: "é", count: 5000))
        let read = try Wire.decode(Wire.payloadBytes(status), like: status)
        #expect(read.message == "x" + String(repeating: "é", count: 2047))
    }

    @Test func versionsAreAgreedOnOrNot() {
        #expect(WireVersion.agreed(lowest: 1, highest: 1) == 1)
        #expect(WireVersion.agreed(lowest: 1, highest: 9) == 1)
        #expect(WireVersion.agreed(lowest: 2, highest: 9) == nil)
        #expect(WireVersion.agreed(lowest: 0, highest: 0) == nil)
        #expect(WireVersion.agreed(lowest: 5, highest: 1) == nil)
    }

    @Test func tokensKeepTheirBytes() throws {
        let token = ConsistencyToken(
            collection: MessageSamples.collectionID,
            sequences: Dictionary(uniqueKeysWithValues: (0..<1024).map { (UInt32($0), UInt64($0) << 33) })
        )
        #expect(try ConsistencyToken(encoded: token.encoded) == token)
        var repeated = ConsistencyToken(collection: MessageSamples.collectionID, sequences: [1: 1, 2: 2]).encoded
        repeated[32] = 1
        #expect(throws: WireDecodingError.duplicate(field: "token shards")) {
            try ConsistencyToken(encoded: repeated)
        }
        #expect(throws: WireDecodingError.self) { try ConsistencyToken(encoded: Array("not a token".utf8)) }
    }
}
