import FaceModel
import Testing

struct FaceFilterTests {
    private func problem(_ change: (inout FaceFilter) -> Void) -> String? {
        var filter = FaceFilter()
        change(&filter)
        return filter.problem
    }

    @Test func anythingWithinTheLimitsIsValid() {
        let ids = (0..<256).map { "\($0)" + String(repeating: "ü", count: 100) }
        let attributes = Dictionary(uniqueKeysWithValues: (10..<42).map { ("key \($0)", "") })
        #expect(FaceFilter().problem == nil)
        #expect(
            FaceFilter(
                personIDs: ids,
                externalImageIDs: [String(repeating: "e", count: 255)],
                attributes: attributes,
                createdFrom: Timestamp(milliseconds: .min),
                createdBefore: Timestamp(milliseconds: .max)
            ).problem == nil
        )
    }

    @Test func idsAre1To256Of1To255Bytes() {
        for field in [\FaceFilter.personIDs, \.externalImageIDs] {
            for ids in [[], [String](repeating: "a", count: 257), [""], ["a", String(repeating: "ü", count: 128)]] {
                #expect(problem { $0[keyPath: field] = ids } != nil, "\(ids.count)")
            }
        }
    }

    @Test func attributesAreThoseThatAFaceMayHave() {
        let many = Dictionary(uniqueKeysWithValues: (0..<33).map { ("\($0)", "") })
        for attributes in [
            many, ["": "a"], [String(repeating: "k", count: 65): ""], ["k": String(repeating: "v", count: 256)],
        ] {
            #expect(problem { $0.attributes = attributes } != nil)
        }
    }

    @Test func aRangeBeginsBeforeItEnds() {
        for end: Int64 in [5, 4] {
            #expect(
                problem {
                    $0.createdFrom = Timestamp(milliseconds: 5)
                    $0.createdBefore = Timestamp(milliseconds: end)
                } != nil
            )
        }
    }

    @Test func aProblemOfTheFilterIsOneOfTheSearch() {
        #expect(SearchParameters(matchLimit: 1, filter: FaceFilter(personIDs: ["a"])).problem == nil)
        let problem = SearchParameters(matchLimit: 1, filter: FaceFilter(personIDs: [])).problem
        #expect(problem == "a filter takes 1–256 person ids, not 0")
    }
}
