import FaceModel
import Testing

struct FaceMetadataTests {
    @Test func emptyAndFullMetadataAreValid() {
        #expect(FaceMetadata().problem == nil)
        let attributes = Dictionary(uniqueKeysWithValues: (0..<32).map { ("key \($0)", "") })
        let full = FaceMetadata(
            personID: String(repeating: "p", count: 255),
            externalImageID: "e",
            imageID: "ü 人",
            boundingBox: BoundingBox(left: -0.1, top: 0, width: 1.5, height: 1),
            quality: 0,
            confidence: 100,
            created: Timestamp(milliseconds: .min),
            expires: Timestamp(milliseconds: .max),
            attributes: attributes
        )
        #expect(full.problem == nil)
    }

    @Test func namesHave1To255BytesWithoutControlCharacters() {
        for field in [\FaceMetadata.personID, \.externalImageID, \.imageID] {
            func problem(_ text: String) -> String? {
                var metadata = FaceMetadata()
                metadata[keyPath: field] = text
                return metadata.problem
            }
            #expect(problem("a") == nil)
            #expect(problem(String(repeating: "a", count: 255)) == nil)
            #expect(problem("") != nil)
            #expect(problem(String(repeating: "a", count: 256)) != nil)
            // Bytes count, not characters: 254 and 256 of them.
            #expect(problem(String(repeating: "é", count: 127)) == nil)
            #expect(problem(String(repeating: "é", count: 128)) != nil)
            for control in ["\u{0}", "\n", "\u{1f}", "\u{7f}"] { #expect(problem("a\(control)b") != nil) }
            #expect(problem("secret\n")?.contains("secret") == false)
        }
    }

    @Test(arguments: [Float.nan, .infinity, -.infinity])
    func boxesAreFinite(value: Float) {
        for field in [\BoundingBox.left, \.top, \.width, \.height] as [WritableKeyPath<BoundingBox, Float>] {
            var box = BoundingBox(left: 0, top: 0, width: 1, height: 1)
            box[keyPath: field] = value
            #expect(FaceMetadata(boundingBox: box).problem != nil)
        }
    }

    @Test func qualityAndConfidenceAreFrom0To100() {
        for value: Float in [-0.001, 100.001, .nan, .infinity, -.infinity] {
            #expect(FaceMetadata(quality: value).problem != nil)
            #expect(FaceMetadata(confidence: value).problem != nil)
        }
        for value: Float in [0, -0.0, 50, 100] {
            #expect(FaceMetadata(quality: value, confidence: value).problem == nil)
        }
    }

    @Test func attributesHaveTheirLimits() {
        func problem(_ key: String, _ value: String) -> String? { FaceMetadata(attributes: [key: value]).problem }
        #expect(problem(String(repeating: "k", count: 64), String(repeating: "v", count: 255)) == nil)
        #expect(problem("", "v") != nil)
        #expect(problem(String(repeating: "k", count: 65), "v") != nil)
        #expect(problem("k", String(repeating: "v", count: 256)) != nil)
        let many = Dictionary(uniqueKeysWithValues: (0..<33).map { ("\($0)", "v") })
        #expect(FaceMetadata(attributes: many).problem != nil)
    }
}
