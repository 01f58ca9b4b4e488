import LoadGenerator
import Testing

@Suite struct WriteLedgerTests {
    private static func seconds(_ value: Int) -> Duration { .seconds(value) }

    @Test func untouchedFacesHoldTheirOwnImage() {
        let ledger = WriteLedger(filledCount: 10)
        #expect(ledger.contents(of: 3) == [.image(3)])
        #expect(ledger.contents(of: 10) == [.absent])
        #expect(ledger.isUntouched(3))
        #expect(ledger.allows(.image(3), of: 3, since: .zero))
        #expect(!ledger.allows(.absent, of: 3, since: .zero) && !ledger.allows(.image(4), of: 3, since: .zero))
    }

    @Test func aDeletedFaceMayBeSeenByWhatBeganBeforeItsAcknowledgementOnly() {
        var ledger = WriteLedger(filledCount: 10)
        ledger.mustBegin(3, .absent)
        // Under way: either.
        #expect(ledger.allows(.image(3), of: 3, since: Self.seconds(1)))
        #expect(ledger.allows(.absent, of: 3, since: Self.seconds(1)))
        ledger.end(3, .acknowledged, at: Self.seconds(5))
        #expect(ledger.allows(.image(3), of: 3, since: Self.seconds(4)))
        #expect(!ledger.allows(.image(3), of: 3, since: Self.seconds(6)))
        #expect(ledger.contents(of: 3) == [.absent])
        #expect(ledger.lastImage(of: 3) == 3)
        ledger.mustRefuse(3, .absent, "a deleted face is not deleted again")
    }

    @Test func aWriteOfWhichNobodyKnowsLeavesBothForGood() {
        var ledger = WriteLedger(filledCount: 10)
        ledger.mustBegin(3, .image(77))
        ledger.mustRefuse(3, .absent, "one write at a time")
        ledger.end(3, .unknown, at: Self.seconds(2))
        #expect(Set(ledger.contents(of: 3)) == [.image(3), .image(77)])
        #expect(ledger.uncertainCount == 1)
        ledger.mustRefuse(3, .image(78), "it may take effect late, so nothing is written after it")
        #expect(!ledger.allows(.absent, of: 3, since: .zero) && !ledger.allows(.image(78), of: 3, since: .zero))
    }

    @Test func aRefusedWriteChangesNothing() {
        var ledger = WriteLedger(filledCount: 10)
        let before = ledger.currentBounds
        for (face, content) in [(3, WriteLedger.Content.absent), (4, .image(50)), (20, .image(20))] {
            ledger.mustBegin(face, content)
            ledger.end(face, .rejected, at: Self.seconds(1))
        }
        #expect(ledger.contents(of: 3) == [.image(3)])
        #expect(ledger.contents(of: 4) == [.image(4)])
        #expect(ledger.contents(of: 20) == [.absent])
        #expect(ledger.currentBounds.certainCount == before.certainCount)
        #expect(ledger.currentBounds.possibleCount == before.possibleCount)
    }

    @Test func facesOfTheLoadCanBeTakenWhileTheyAreThereForCertain() {
        var ledger = WriteLedger(filledCount: 10)
        #expect(ledger.takeIdle(at: 0) == nil)
        for face in 20..<23 {
            ledger.mustBegin(face, .image(face))
            ledger.end(face, face == 22 ? .unknown : .acknowledged, at: Self.seconds(1))
        }
        let taken = [ledger.takeIdle(at: 0.99), ledger.takeIdle(at: 0)]
        #expect(Set(taken) == [20, 21])
        #expect(ledger.takeIdle(at: 0.5) == nil)
        ledger.mustBegin(20, .image(30))
        ledger.mustBegin(21, .absent)
        ledger.end(20, .acknowledged, at: Self.seconds(2))
        ledger.end(21, .acknowledged, at: Self.seconds(2))
        #expect(ledger.takeIdle(at: 0) == 20)
        #expect(ledger.takeIdle(at: 0) == nil)
        #expect(ledger.writtenFaces == [20, 21, 22])
    }

    @Test func fullAnswersMustCoverWhatWasThereAllTheTime() {
        var ledger = WriteLedger(filledCount: 100)
        let start = ledger.currentBounds
        #expect(WriteLedger.Bounds.faceCount(from: start, to: start) == 100...100)
        // One is being deleted and one enrolled: an answer may or may not have seen either.
        ledger.mustBegin(5, .absent)
        ledger.mustBegin(200, .image(200))
        #expect(WriteLedger.Bounds.faceCount(from: start, to: ledger.currentBounds) == 99...101)
        ledger.end(5, .acknowledged, at: Self.seconds(1))
        ledger.end(200, .acknowledged, at: Self.seconds(1))
        #expect(WriteLedger.Bounds.faceCount(from: start, to: ledger.currentBounds) == 99...101)
        // What begins now sees both.
        let later = ledger.currentBounds
        #expect(WriteLedger.Bounds.faceCount(from: later, to: later) == 100...100)
    }

    @Test func uncertainFacesWidenWhatMayBeCovered() {
        var ledger = WriteLedger(filledCount: 100)
        ledger.mustBegin(5, .absent)
        ledger.mustBegin(6, .image(300))
        ledger.mustBegin(200, .image(200))
        for face in [5, 6, 200] { ledger.end(face, .unknown, at: Self.seconds(1)) }
        let bounds = ledger.currentBounds
        #expect(bounds.certainCount == 99 && bounds.possibleCount == 101)
    }
}

extension WriteLedger {
    /// Begins a write that may begin.
    fileprivate mutating func mustBegin(_ face: Int, _ content: Content, at location: SourceLocation = #_sourceLocation)
    {
        let isBegun = begin(face, content)
        #expect(isBegun, sourceLocation: location)
    }

    /// Tries to begin a write that may not begin.
    fileprivate mutating func mustRefuse(
        _ face: Int,
        _ content: Content,
        _ reason: Comment,
        at location: SourceLocation = #_sourceLocation
    ) {
        let isBegun = begin(face, content)
        #expect(!isBegun, reason, sourceLocation: location)
    }
}
