import PartitionEngine
import Testing

@Suite struct DividedWorkTests {
    private struct Failure: Error, Equatable { var number: Int }

    @Test func partsAreClaimedInOrderAndOnce() {
        var work = DividedWork<String>(partCount: 3)
        #expect(work.standing == .claimable)
        #expect([work.claim(), work.claim(), work.claim()] == [0, 1, 2])
        #expect(work.claim() == nil)
        #expect(work.standing == .underWay)
    }

    @Test func theResultHasThePartsInOrder() throws {
        var work = DividedWork<String>(partCount: 2)
        _ = work.claim()
        _ = work.claim()
        work.finish(1, "second")
        #expect(work.standing == .underWay)
        work.finish(0, "first")
        #expect(work.standing == .ended)
        #expect(try work.result() == ["first", "second"])
    }

    @Test func aFailureEndsTheWorkWhenAllHaveLeft() {
        var work = DividedWork<String>(partCount: 3)
        _ = work.claim()
        _ = work.claim()
        work.fail(Failure(number: 1))
        #expect(work.claim() == nil)
        #expect(work.standing == .underWay)
        work.fail(Failure(number: 2))
        #expect(work.standing == .ended)
        #expect(throws: Failure(number: 1)) { try work.result() }
    }
}
