import PartitionEngine
import Testing

struct CommitCountTests {
    @Test func aCountIsFoundOnceInACommit() {
        let known = CommitCount()
        var findCount = 0
        func count(_ transaction: UInt64, _ value: Int) -> Int {
            known.count(inTransaction: transaction) {
                findCount += 1
                return value
            }
        }
        #expect(count(5, 50) == 50 && count(5, 51) == 50 && count(5, 52) == 50)
        #expect(findCount == 1)
        #expect(count(6, 60) == 60 && count(6, 61) == 60)
        #expect(findCount == 2)
        // A search of an earlier commit finds its own, and takes nothing from those of the newest.
        #expect(count(5, 53) == 53 && count(6, 62) == 60)
        #expect(findCount == 3)
    }
}
