import FaceModel
import InvertedFileIndex
import PartitionEngine
import Testing
import VectorMath

struct PartitionRecallTests {
    private static let dimension = 128

    /// 20 000 images of 4000 people whose noise differs in strength, probes of 1200 of them.
    ///
    /// Of the probes whose mate at a cosine of 0.40 or more is what an exact search ranks first, the default effort
    /// must miss at most 2 % and a full one at most 0.5 %. 1200 probes and a true miss rate of 1 % make an error of
    /// 0.3 %.
    @Test func matesThatExactRanksFirstAreFound() throws {
        var source = FaceSource(dimension: Self.dimension)
        var options = PartitionOptions()
        options.mapByteCount = 1 << 32
        options.minimumFreeByteCount = 0
        let fixture = try PartitionFixture(dimension: Self.dimension, options: options)
        let people = (0..<4000).map { _ in source.embedding() }
        func noise() -> Float { Float.random(in: 0.5...1.1, using: &source.generator) }
        for first in stride(from: 0, to: 20_000, by: 2000) {
            let ids = (first..<first + 2000).map { FaceID($0) }
            try fixture.enrol(ids, (first..<first + 2000).map { source.image(of: people[$0 % 4000], noise: noise()) })
        }
        let codebook = try CodebookTrainer.train(
            sample: fixture.partition.sample(count: 8192, seed: 1),
            generation: 1,
            listCount: 0,
            seed: 1,
            shouldStop: { false }
        )
        try fixture.partition.install(codebook: codebook.encoded())
        try fixture.settle()
        #expect(try fixture.partition.statistics().freshCount < 4096)

        let people1200 = Array(0..<1200)
        let probes = people1200.map { source.image(of: people[$0], noise: noise()) }
        let exact = try fixture.search(probes, limit: 1).matches
        let mated = people1200.filter { person in
            exact[person].first.map { $0.similarity >= 0.40 && Int($0.faceID.low & 0xffff) % 4000 == person } ?? false
        }
        try #require(mated.count > 800)
        var visits: [Double] = []
        for (effort, limit) in [(SearchEffort.recall(0.99), 0.02), (.full, 0.005)] {
            let answer = try fixture.search(mated.map { probes[$0] }, limit: 1, effort: effort)
            let missed = zip(mated, answer.matches).filter { $1.first?.faceID != exact[$0][0].faceID }.count
            #expect(Double(missed) <= limit * Double(mated.count), "\(effort) misses \(missed) of \(mated.count)")
            visits.append(Double(answer.rowsVisited) / Double(mated.count) / 20_000)
            #expect(answer.generation == 1)
        }
        // The default effort is worth its name: it leaves a part of the collection alone.
        #expect(visits[0] < 0.95 && visits[1] > 0.99, "\(visits)")
    }
}
