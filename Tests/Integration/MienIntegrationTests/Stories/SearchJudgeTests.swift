import MienClient
import Testing

/// Answers made by hand: six faces, two in each of three shards.
struct SearchJudgeTests {
    private typealias Answer = SearchJudge.Answer

    private static let faces = (1...6).map { Face.ID(high: 1, low: UInt64($0)) }
    private static let stranger = Face.ID(high: 2, low: 1)
    private static let judge = SearchJudge(
        faces: faces,
        shards: [0: Set(faces[0...1]), 1: Set(faces[2...3]), 2: Set(faces[4...5])]
    )
    /// One that does not know which shard has which.
    private static let ignorant = SearchJudge(faces: faces, shards: [:])

    /// Everything is there, and 94 faces of others.
    private static let full = Answer(
        matches: faces.map { [$0, stranger] },
        shardsAsked: 3,
        shardsAnswered: 3,
        facesTotal: 100,
        facesAnswered: 100,
        missing: [],
        isFull: true,
        share: 1
    )

    /// The second shard is missing.
    private static let partial = Answer(
        matches: faces.map { faces[2...3].contains($0) ? [stranger] : [$0, stranger] },
        shardsAsked: 3,
        shardsAnswered: 2,
        facesTotal: 100,
        facesAnswered: 66,
        missing: [1],
        isFull: false,
        share: 0.66
    )

    /// What is wrong with an answer, for people, and the change that makes it so.
    private typealias Change = (what: String, change: (inout Answer) -> Void)

    private static func fault(of answer: Answer, _ change: (inout Answer) -> Void) -> String? {
        var answer = answer
        change(&answer)
        return judge.fault(of: answer)
    }

    @Test func whatIsTrueIsTaken() {
        let nothing = Answer(
            matches: Self.faces.map { _ in [] },
            shardsAsked: 3,
            shardsAnswered: 0,
            facesTotal: 0,
            facesAnswered: 0,
            missing: [2, 0, 1],
            isFull: false,
            share: 0
        )
        for answer in [Self.full, Self.partial, nothing] {
            let fault = Self.judge.fault(of: answer)
            #expect(fault == nil, "\(String(describing: fault))")
        }
        #expect(Self.judge.knowsWhatIsMissing(in: Self.partial))
    }

    /// A full answer that leaves out a face of each shard in turn, and does not say so.
    @Test(arguments: faces) func aFaceThatIsNotFoundIsAFault(face: Face.ID) throws {
        let number = try #require(Self.faces.firstIndex(of: face))
        let fault = Self.fault(of: Self.full) { $0.matches[number] = [Self.stranger] }
        #expect(fault?.contains("\(face)") == true, "\(String(describing: fault))")
    }

    @Test func aFullAnswerThatIsNotTrueIsAFault() {
        let changes: [Change] = [
            ("another comes first", { $0.matches[0] = [Self.stranger, Self.faces[0]] }),
            ("nobody is found", { $0.matches[0] = [] }),
            ("a probe has no outcome", { $0.matches = Array($0.matches.dropLast()) }),
            ("a shard is not counted", { $0.shardsAnswered = 2 }),
            ("a face was not covered", { $0.facesAnswered = 99 }),
            ("more were covered than there are", { $0.facesAnswered = 101 }),
            ("it is full, and says that it is not", { $0.isFull = false }),
            ("the share is another", { $0.share = 0.99 }),
            ("there are six", { ($0.facesTotal, $0.facesAnswered) = (5, 5) }),
        ]
        for (what, change) in changes {
            let fault = Self.fault(of: Self.full, change)
            #expect(fault != nil, "\(what)")
        }
    }

    @Test func aPartialAnswerThatIsNotTrueIsAFault() {
        let changes: [Change] = [
            ("a face of a shard that answered is not found", { $0.matches[0] = [Self.stranger] }),
            ("another shard is missing than it says", { $0.missing = [2] }),
            ("a face of the missing shard is found", { $0.matches[2] = [Self.faces[2]] }),
            ("a face of the missing shard is another's match", { $0.matches[0].append(Self.faces[3]) }),
            ("it says that it is full", { $0.isFull = true }),
            ("the share is another", { $0.share = 1 }),
            ("the missing shard has answered as well", { $0.shardsAnswered = 3 }),
            ("a shard is missing twice", { $0.missing = [1, 1] }),
            ("the missing shard counts for nothing", { ($0.facesTotal, $0.share) = (66, 1) }),
            ("four are in the shards that answered", { ($0.facesAnswered, $0.share) = (3, 0.03) }),
        ]
        for (what, change) in changes {
            let fault = Self.fault(of: Self.partial, change)
            #expect(fault != nil, "\(what)")
        }
    }

    /// After a division nobody knows whose shard is missing: a face is its own first match, or is not shown at all.
    @Test func ofUnknownShardsFacesAreFoundOrAbsent() {
        #expect(!Self.ignorant.knowsWhatIsMissing(in: Self.partial))
        #expect(Self.ignorant.fault(of: Self.partial) == nil)
        var answer = Self.partial
        answer.matches[0].append(Self.faces[3])
        #expect(Self.ignorant.fault(of: answer) != nil, "it is somebody's match, and not its own first")
        #expect(Self.ignorant.fault(of: Self.full) == nil)
        var lacking = Self.full
        lacking.matches[5] = [Self.stranger]
        #expect(Self.ignorant.fault(of: lacking) != nil)
    }

    /// An answer that its deadline cut short, of all shards: nobody knows of whom it lacks something.
    @Test func whatIsCutShortIsHeldToItsNumbers() {
        var answer = Self.full
        answer.isFull = false
        answer.facesAnswered = 50
        answer.share = 0.5
        answer.matches[4] = [Self.stranger]
        #expect(Self.judge.fault(of: answer) == nil)
        answer.share = 1
        #expect(Self.judge.fault(of: answer) != nil)
    }
}
