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
    }
}
