import LoadGenerator
import Testing

@Suite struct FillTallyTests {
    private static func batch(accepted: Int, present: Int = 0) -> FillTally.Batch {
        var batch = FillTally.Batch()
        batch.accepted = accepted
        batch.present = present
        if accepted > 0 { batch.time = .milliseconds(20) }
        return batch
    }

    @Test func ratesShowThatAFillSlowsDown() {
        var tally = FillTally()
        // 1000 faces a second, then 500.
        for second in 1...10 { tally.add(Self.batch(accepted: 1000), at: .seconds(second)) }
        for second in 1...20 { tally.add(Self.batch(accepted: 500), at: .seconds(10 + second)) }
        #expect(tally.faceCount == 20_000)
        #expect(tally.rates(parts: 4) == [1000, 1000, 500, 500])
    }

    @Test func aShortFillHasOneRate() {
        var tally = FillTally()
        tally.add(Self.batch(accepted: 100), at: .milliseconds(500))
        #expect(tally.rates(parts: 10) == [200])
        #expect(FillTally().rates(parts: 10).isEmpty)
    }

    @Test func facesThatWereThereCountButAreNotSent() {
        var tally = FillTally()
        tally.add(Self.batch(accepted: 0, present: 128), at: .milliseconds(1))
        tally.add(Self.batch(accepted: 28, present: 100), at: .milliseconds(2))
        #expect(tally.faceCount == 256 && tally.sentCount == 28)
        #expect(tally.batchTimes.count == 1)
    }
}
