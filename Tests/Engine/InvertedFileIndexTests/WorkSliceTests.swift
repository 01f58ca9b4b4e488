import InvertedFileIndex
import Testing

struct WorkSliceTests {
    @Test(arguments: [1, 2, 3, 7, 64])
    func slicesAreEvenAndLeaveNothingOut(count: Int) {
        for total in [0, 1, 2, count - 1, count, count + 1, 1000, 1_000_003] {
            let ranges = (0..<count).map { WorkSlice(index: $0, count: count).range(of: total) }
            #expect(ranges.first?.lowerBound == 0 && ranges.last?.upperBound == total)
            #expect(zip(ranges, ranges.dropFirst()).allSatisfy { $0.upperBound == $1.lowerBound })
            #expect(ranges.allSatisfy { abs($0.count - total / count) <= 1 })
        }
        #expect(WorkSlice.whole.range(of: 17) == 0..<17 && WorkSlice.whole.isFirst)
    }
}
