import FaceModel
import Testing

struct CollectionConfigurationTests {
    private func problem(_ change: (inout CollectionConfiguration) -> Void) -> String? {
        var configuration = CollectionConfiguration(
            name: "visitors",
            dimension: 512,
            embeddingModel: "model",
            shardCount: 3
        )
        change(&configuration)
        return configuration.problem
    }

    @Test(arguments: ["a", "0", "a-b_c", "9-", String(repeating: "x", count: 64)])
    func validNames(name: String) {
        #expect(problem { $0.name = name } == nil)
    }

    @Test(arguments: [
        "", "A", "-a", "_a", "a b", "a.b", "a/b", "ä", "a\u{0}", "a\n", "..", String(repeating: "x", count: 65), "ａ",
    ])
    func invalidNames(name: String) {
        #expect(problem { $0.name = name } != nil)
    }

    @Test func aHugeNameMakesAShortSentence() {
        #expect(problem { $0.name = String(repeating: "x", count: 1 << 20) }!.utf8.count < 300)
    }

    @Test func theLeastCopiesInSyncAreAmongThoseThatThereAre() {
        func refusal(copies: Int, least: Int) -> String? {
            problem {
                $0.replicationFactor = copies
                $0.minimumInSync = least
            }
        }
        for (copies, least) in [(1, 1), (3, 1), (3, 3), (7, 7)] {
            #expect(refusal(copies: copies, least: least) == nil)
        }
        for (copies, least) in [(1, 0), (1, 2), (3, 4), (3, -1), (7, Int.max), (2, Int.min)] {
            #expect(refusal(copies: copies, least: least)?.contains("from 1 to the \(copies)") == true)
        }
    }

    @Test func everyLimitIsKeptOnBothSides() {
        for dimension in [64, 72, 2048] { #expect(problem { $0.dimension = dimension } == nil) }
        for dimension in [Int.min, -64, 0, 8, 56, 63, 65, 68, 2049, 2056, .max] {
            #expect(problem { $0.dimension = dimension } != nil)
        }
        for count in [1, 1024] { #expect(problem { $0.shardCount = count } == nil) }
        for count in [Int.min, -1, 0, 1025, .max] { #expect(problem { $0.shardCount = count } != nil) }
        for factor in [1, 7] { #expect(problem { $0.replicationFactor = factor } == nil) }
        for factor in [-1, 0, 8, .max] { #expect(problem { $0.replicationFactor = factor } != nil) }
        for count in [1, 128] {
            #expect(problem { $0.embeddingModel = String(repeating: "m", count: count) } == nil)
        }
        for count in [0, 129] {
            #expect(problem { $0.embeddingModel = String(repeating: "m", count: count) } != nil)
        }
    }
}
