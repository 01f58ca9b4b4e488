import LoadGenerator
import Testing

@Suite struct LoadMixTests {
    @Test func callsHaveCountsAndWeights() throws {
        let mix = try LoadMix("search=70, photo:50=5,by-face=5,enrol:10=10,upsert=5,delete=5")
        #expect(mix.items.map(\.operation) == [.search, .photo, .byFace, .enrol, .upsert, .delete])
        #expect(mix.items.map(\.count) == [1, 50, 1, 10, 1, 1])
        #expect(mix.items.map(\.weight) == [70, 5, 5, 10, 5, 5])
        #expect(abs(mix.imagesPerCall - 1.05) < 1e-12)
        #expect(mix.hasWrites)
        #expect(mix.description.hasPrefix("search 70 %, photo:50 5 %"))
    }

    @Test func callsComeAsOftenAsTheirWeightsSay() throws {
        let mix = try LoadMix("search=3,delete=1,enrol=0")
        #expect(mix.items.count == 2)
        #expect(mix.item(at: 0).operation == .search)
        #expect(mix.item(at: 0.7499).operation == .search)
        #expect(mix.item(at: 0.7501).operation == .delete)
        #expect(mix.item(at: 0.999_999).operation == .delete)
    }

    @Test(
        arguments: [
            ("", "'' is no part of the mix; write it as search=80,photo:20=5,enrol=10,delete=5"),
            ("search", "'search' is no part of the mix; write it as search=80,photo:20=5,enrol=10,delete=5"),
            ("look=5", "'look' is no call of a mix; there are search, photo, by-face, enrol, upsert, delete"),
            ("frame=5", "'frame' is no call of a mix; there are search, photo, by-face, enrol, upsert, delete"),
            ("search=5,search=6", "'search' is twice in the mix"),
            ("enrol=5,enrol:2=6", "'enrol' is twice in the mix"),
            ("search:3=5", "'search:3' has a count; only photo, enrol, upsert and delete take one"),
            ("photo:0=5", "'photo:0' must have a count from 1 to 1000 after the colon"),
            ("photo:=5", "'photo:' must have a count from 1 to 1000 after the colon"),
            ("search=-1", "'-1' is no weight for search; weights are numbers from 0 to a billion"),
            ("search=nan", "'nan' is no weight for search; weights are numbers from 0 to a billion"),
            ("enrol:1000=1e306", "'1e306' is no weight for enrol:1000; weights are numbers from 0 to a billion"),
            ("search=0", "the mix must have a call with a weight above 0"),
        ]
    )
    func badMixesAreTold(_ text: String, _ problem: String) {
        let error = #expect(throws: LoadTextError.self) { try LoadMix(text) }
        #expect(error?.description == problem)
    }
}
