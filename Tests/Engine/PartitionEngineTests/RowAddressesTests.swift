import PartitionEngine
import Testing

/// For which transactions addresses of chunks hold.
struct RowAddressesTests {
    @Test func aCommitThatIsTriedAgainLeavesTheTableBeforeIt() {
        let addresses = RowAddresses(areLasting: true)
        let before = addresses.table(forTransaction: 4, chunkCount: 10)
        addresses.begin(withTransaction: 5)
        addresses.begin(withTransaction: 5)
        #expect(addresses.table(forTransaction: 4, chunkCount: 10) === before)
        let after = addresses.table(forTransaction: 5, chunkCount: 10)
        #expect(after !== before && after.firstTransaction == 5)
        #expect(addresses.table(forTransaction: 9, chunkCount: 10) === after)
    }

    /// A map that was full has grown, and the commit is yet to be tried again.
    @Test func aMapThatHasGrownLeavesATableForTheNewestCommit() {
        let addresses = RowAddresses(areLasting: true)
        let before = addresses.table(forTransaction: 4, chunkCount: 10)
        addresses.begin(withTransaction: 5)
        addresses.forget()
        let anew = addresses.table(forTransaction: 4, chunkCount: 10)
        #expect(anew !== before)
        #expect(addresses.table(forTransaction: 4, chunkCount: 10) === anew)
    }

    @Test func addressesInLeavesHoldForOneCommit() {
        let addresses = RowAddresses(areLasting: false)
        let first = addresses.table(forTransaction: 4, chunkCount: 10)
        #expect(addresses.table(forTransaction: 4, chunkCount: 10) === first)
        let next = addresses.table(forTransaction: 5, chunkCount: 10)
        #expect(next !== first)
        // An older reader finds its own.
        #expect(addresses.table(forTransaction: 4, chunkCount: 10) !== first)
        addresses.begin(withTransaction: 6)
        #expect(addresses.table(forTransaction: 5, chunkCount: 10) === next)
    }
}
