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

    @Test(arguments: [1, 2, 3, 7])
    func everyListIsOfOneThreadAndThreadsHaveAboutAsMany(count: Int) {
        for total in [1, 5, 24, 512, 4096] {
            let holders = (0..<UInt32(total)).map { list in
                (0..<count).filter { WorkSlice(index: $0, count: count).holds(list: list, of: total) }
            }
            #expect(holders.allSatisfy { $0.count == 1 })
            let shares = (0..<count).map { index in holders.count { $0 == [index] } }
            #expect(shares.max()! - shares.min()! <= max(1, total / (4 * count)), "\(total) lists: \(shares)")
        }
    }
}
