import LoadGenerator
import Testing

@Suite struct TruthFindingsTests {
    @Test func everyCaseCountsAndNoKindHidesAnother() {
        var findings = TruthFindings()
        #expect(findings.isClean)
        for number in 0..<1000 { findings.add(.unflaggedPartial, "answer \(number)") }
        findings.add(.lost, "face 7")
        #expect(findings.count(.unflaggedPartial) == 1000 && findings.count(.lost) == 1)
        #expect(findings.totalCount == 1001 && !findings.isClean)
        #expect(findings.examples.count == 6)
        #expect(findings.examples.last == "lost: face 7")
    }

    @Test func findingsOfPartsAddUp() {
        var sum = TruthFindings()
        var other = TruthFindings()
        sum.add(.lost, "face 1")
        other.add(.lost, "face 2")
        other.add(.resurrected, "face 3")
        sum.add(other)
        #expect(sum.count(.lost) == 2 && sum.count(.resurrected) == 1)
        #expect(sum.examples == ["lost: face 1", "lost: face 2", "resurrected: face 3"])
    }

    @Test func whatCouldNotBeCheckedIsNotClean() {
        var report = TruthReport()
        #expect(report.isClean)
        report.unchecked.append("number of faces: unavailable")
        #expect(!report.isClean && report.findings.isClean)
    }
}
