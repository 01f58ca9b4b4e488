import FaceModel
import PartitionEngine
import Testing
import VectorMath

struct LeastFacesTests {
    @Test(arguments: [1, 2, 7, 500, 2000])
    func theLeastAreKeptWhateverTheOrder(capacity: Int) {
        var generator = SplitMix64(seed: testSeed)
        for _ in 0..<5 {
            var least = LeastFaces(capacity: capacity)
            for number in (0..<1000).shuffled(using: &generator) {
                least.insert(FaceID(number), row: UInt64(5000 - number))
                #expect(least.count <= 2 * capacity)
            }
            #expect(least.rows() == (0..<min(1000, capacity)).map { UInt64(5000 - $0) }, "seed \(testSeed)")
        }
    }
}
