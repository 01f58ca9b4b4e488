import PartitionEngine
import Testing

@Suite struct DividedWorkTests {
    private struct Failure: Error, Equatable { var number: Int }

    @Test func partsAreClaimedInOrderAndOnce() {
        var work = DividedWork<String>(partCount: 3)
        #expect(work.standing == .claimable)
        #expect([work.claim(asOwner: true), work.claim(asOwner: false), work.claim(asOwner: true)] == [0, 1, 2])
        #expect(work.claim(asOwner: true) == nil)
        #expect(work.standing == .underWay)
    }

    @Test func theResultHasThePartsInOrder() throws {
        var work = DividedWork<String>(partCount: 2)
        _ = work.claim(asOwner: true)
        _ = work.claim(asOwner: false)
        work.finish(1, "second")
        #expect(work.standing == .underWay)
        work.finish(0, "first")
        #expect(work.standing == .ended)
        #expect(try work.result() == ["first", "second"])
    }

    /// The owner may have found nothing to claim before the part came back.
    @Test func aPartThatWasPutBackIsStillToBeDone() throws {
        var work = DividedWork<String>(partCount: 2)
        _ = work.claim(asOwner: true)
        _ = work.claim(asOwner: false)
        work.finish(0, "first")
        #expect(work.claim(asOwner: true) == nil)
        work.putBack(1)
        #expect(work.standing == .claimable)
        #expect(work.claim(asOwner: false) == nil)
        #expect(work.claim(asOwner: true) == 1)
        work.finish(1, "second")
        #expect(work.standing == .ended)
        #expect(try work.result() == ["first", "second"])
    }

    @Test func aFailureEndsTheWorkWhenAllHaveLeft() {
        var work = DividedWork<String>(partCount: 3)
        _ = work.claim(asOwner: true)
        _ = work.claim(asOwner: false)
        work.fail(Failure(number: 1))
        #expect(work.claim(asOwner: true) == nil)
        #expect(work.standing == .underWay)
        work.fail(Failure(number: 2))
        #expect(work.standing == .ended)
        #expect(throws: Failure(number: 1)) { try work.result() }
    }
}
