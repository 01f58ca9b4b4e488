import MienClient
import Testing

struct SearchTallyTests {
    private static let faces = (1...3).map { Face.ID(high: 1, low: UInt64($0)) }

    private func tally(_ best: [Face.ID?], isFull: Bool = true) -> SearchTally {
        var tally = SearchTally()
        tally.note(best: best, isFull: isFull, of: Self.faces)
        return tally
    }

    @Test func everyFaceIsItsOwnFirstMatch() {
        let right = tally(Self.faces)
        #expect(right.answeredCount == 1 && right.surprises.isEmpty)
        let (first, second, third) = (Self.faces[0], Self.faces[1], Self.faces[2])
        let stranger = Face.ID(high: 2, low: 1)
        let wrong: [[Face.ID?]] = [
            [first, second, stranger], [first, second, nil], [second, first, third], [first, second],
            [first, second, third, stranger], [],
        ]
        for best in wrong {
            let tally = tally(best)
            #expect(tally.answeredCount == 0 && tally.surprises.count == 1, "\(best)")
        }
    }

    /// Under load an answer that lacks something is to be refused instead.
    @Test func whatIsNotFullIsASurprise() {
        let partial = tally(Self.faces, isFull: false)
        #expect(partial.answeredCount == 0 && partial.surprises.count == 1)
    }

    @Test func refusalsByNameAreNone() {
        var tally = SearchTally()
        for code in [MienClientError.Code.overloaded, .deadlineExceeded, .incompleteCoverage] {
            tally.note(MienClientError(code: code, message: "too much"))
        }
        #expect(tally.refusedCount == 3 && tally.surprises.isEmpty)
        tally.note(MienClientError(code: .corruptData, message: "broken"))
        #expect(tally.refusedCount == 3 && tally.surprises.count == 1)
    }
}
