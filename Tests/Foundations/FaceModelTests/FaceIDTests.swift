import FaceModel
import Testing

struct FaceIDTests {
    private static let text = "0123abcd-4567-4ef0-89ab-cdef01234567"

    @Test func textIsReadAndWrittenInTheCanonicalForm() throws {
        let id = try #require(FaceID(Self.text))
        #expect(id == FaceID(high: 0x0123_abcd_4567_4ef0, low: 0x89ab_cdef_0123_4567))
        #expect(id.description == Self.text)
        #expect(FaceID(Self.text.uppercased()) == id)
        #expect(FaceID(Self.text[...]) == id)
    }

    @Test func everyHighAndLowBitSurvivesTheText() throws {
        for bit in 0..<64 {
            let id = FaceID(high: 1 << UInt64(bit), low: ~(1 << UInt64(bit)))
            #expect(FaceID(id.description) == id)
            #expect(CollectionID(id.description) == CollectionID(high: id.high, low: id.low))
        }
    }

    @Test func everyChangeOfOneCharacterIsAnotherIDOrNone() {
        let id = FaceID(Self.text)
        for offset in Self.text.indices {
            for replacement in ["g", " ", "-", "é", "\u{0}", "/", ":", "@", "`", "G", "5"] {
                guard String(Self.text[offset]) != replacement else { continue }
                var changed = Self.text
                changed.replaceSubrange(offset...offset, with: replacement)
                let isDigit = replacement == "5" && Self.text[offset] != "-"
                #expect((FaceID(changed) != nil) == isDigit, "\(changed)")
                #expect(FaceID(changed) != id, "\(changed)")
            }
        }
    }

    @Test(arguments: [
        "", "0", "0123abcd45674ef089abcdef01234567", "{0123abcd-4567-4ef0-89ab-cdef01234567}",
        "0123abcd-4567-4ef0-89ab-cdef0123456", "0123abcd-4567-4ef0-89ab-cdef012345678",
        "0123abcd4-567-4ef0-89ab-cdef01234567", " 0123abcd-4567-4ef0-89ab-cdef0123456",
        "0123abcd-4567-4ef0-89ab-cdef0123456\n", "0123abcd--567-4ef0-89ab-cdef01234567",
        "０123abcd-4567-4ef0-89ab-cdef01234567", "+123abcd-4567-4ef0-89ab-cdef01234567",
    ])
    func otherTextIsRefused(text: String) {
        #expect(FaceID(text) == nil)
        #expect(CollectionID(text) == nil)
    }

    @Test func orderIsThatOfTheText() {
        let ids = [
            FaceID(high: 0, low: 0), FaceID(high: 0, low: .max), FaceID(high: 1, low: 0), FaceID(high: 1, low: 1),
            FaceID(high: 1 << 63, low: 0), FaceID(high: .max, low: .max),
        ]
        #expect(ids.shuffled().sorted() == ids)
        #expect(ids.map(\.description).sorted() == ids.map(\.description))
        #expect(!(ids[2] < ids[2]))
    }

    @Test func randomIDsAreVersion4AndDiffer() {
        let ids = (0..<1000).map { _ in FaceID.random() }
        #expect(Set(ids).count == ids.count)
        #expect(ids.allSatisfy { $0.high >> 12 & 0xf == 4 && $0.low >> 62 == 2 })
        // Every other bit is random: seen as 0 and as 1.
        #expect(ids.reduce(0) { $0 | $1.high } == 0xffff_ffff_ffff_4fff)
        #expect(ids.reduce(.max) { $0 & $1.high } == 0x4000)
        #expect(ids.reduce(0) { $0 | $1.low } == 0xbfff_ffff_ffff_ffff)
        #expect(ids.reduce(.max) { $0 & $1.low } == 0x8000_0000_0000_0000)
    }
}
