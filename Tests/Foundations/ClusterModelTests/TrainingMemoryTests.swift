import ClusterModel
import Testing

struct TrainingMemoryTests {
    @Test func rowsThatAreAllowedTakeNoMoreThanIsAllowed() {
        for dimension in [64, 512, 2048] {
            for listCount: UInt32 in [16, 512, 4096] {
                for limit: UInt64 in [200 << 20, 1 << 30, 20 << 30] {
                    let rows = TrainingMemory.rowLimit(byteCount: limit, dimension: dimension, listCount: listCount)
                    func bytes(_ rowCount: UInt64) -> UInt64 {
                        TrainingMemory.byteCount(rowCount: rowCount, dimension: dimension, listCount: listCount)
                    }
                    #expect(rows == 4096 || bytes(rows) <= limit)
                    #expect(bytes(rows + 1) > limit)
                }
            }
        }
        // The sample alone is 98 MiB.
        let measured = TrainingMemory.byteCount(rowCount: 50_000, dimension: 512, listCount: 512)
        #expect((170 << 20...190 << 20).contains(measured))
        #expect(TrainingMemory.rowLimit(byteCount: 0, dimension: 512, listCount: 512) == 4096)
        #expect(TrainingMemory.byteCount(rowCount: .max, dimension: 2048, listCount: .max) > 1 << 60)
    }
}
