import BiometricEvaluation
import Testing

@Suite struct RetrievalRecallTests {
    @Test func whatExactSearchFindsIsCounted() {
        var recall = RetrievalRecall()
        recall.add(found: [0.9, 0.8, 0.4] as [Float], exact: [0.9, 0.8, 0.7] as [Float])
        #expect(abs(recall.mean - 2.0 / 3) < 1e-12)
        recall.add(found: [0.9, 0.8, 0.7] as [Float], exact: [0.9, 0.8, 0.7] as [Float])
        #expect(abs(recall.mean - 5.0 / 6) < 1e-12)
    }

    @Test func facesThatTieWithTheLastCountAsWell() {
        var recall = RetrievalRecall()
        recall.add(found: [0.9, 0.7, 0.7] as [Float], exact: [0.9, 0.7] as [Float])
        #expect(recall.mean == 1)
    }

    @Test func aProbeWithoutMatchesDoesNotCount() {
        var recall = RetrievalRecall()
        recall.add(found: [] as [Float], exact: [] as [Float])
        #expect(recall.mean.isNaN)
        recall.add(found: [] as [Float], exact: [0.5] as [Float])
        #expect(recall.mean == 0)
    }

    @Test func theIntervalNarrowsWithTheProbes() {
        var few = RetrievalRecall()
        var many = RetrievalRecall()
        for probe in 0..<1000 {
            let found: [Float] = probe.isMultiple(of: 2) ? [1] : [0]
            if probe < 10 { few.add(found: found, exact: [1] as [Float]) }
            many.add(found: found, exact: [1] as [Float])
        }
        #expect(few.halfWidth > 5 * many.halfWidth)
        #expect(abs(many.halfWidth - 0.031) < 0.001)
        #expect(many.interval.lowerBound == many.mean - many.halfWidth)
        #expect(many.interval.upperBound == many.mean + many.halfWidth)
    }

    /// A hundred probes that all found everything do not show that all will: 3.6 % may not.
    @Test func noMissIsNoProofOfNone() {
        var recall = RetrievalRecall()
        #expect(recall.interval == 0...1)
        for _ in 0..<100 { recall.add(found: [1] as [Float], exact: [1] as [Float]) }
        #expect(recall.interval.upperBound == 1 && abs(recall.interval.lowerBound - 0.9638) < 1e-4)
        var none = RetrievalRecall()
        for _ in 0..<100 { none.add(found: [] as [Float], exact: [1] as [Float]) }
        #expect(none.interval.lowerBound == 0 && abs(none.interval.upperBound - 0.0362) < 1e-4)
        recall.add(found: [] as [Float], exact: [1] as [Float])
        #expect(recall.interval.upperBound == 1 && recall.interval.lowerBound < 0.98)
    }
}
