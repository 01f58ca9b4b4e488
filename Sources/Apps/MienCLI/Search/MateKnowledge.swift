import MienClient

/// Whether mates could be told from other faces: by what the truth names, and by what the matches carried.
struct MateKnowledge {
    private var matedCount = 0
    private var foundCount = 0
    /// Mated probes of whose person the truth names one face of perhaps several, and those of them without a person.
    private var oneFaceCount = 0
    private var namelessCount = 0
    private var sawMatch = false
    /// Whether any match had a person.
    private var sawPerson = false

    /// Notes a search for a probe whose person is enrolled.
    mutating func note(_ mate: ProbeTruth.Mate, matches: [SearchResults.Match]) {
        matedCount += 1
        if mate.isOneOfSeveral { oneFaceCount += 1 }
        if mate.isOneOfSeveral, mate.person == nil { namelessCount += 1 }
        if matches.contains(where: mate.isShown) { foundCount += 1 }
        sawMatch = sawMatch || !matches.isEmpty
        sawPerson = sawPerson || matches.contains { $0.metadata.personID != nil }
    }

    /// Why mates may look missed that are not, as a sentence; nil when there is no reason to think so.
    var remark: String? {
        guard matedCount > 0, sawMatch else { return nil }
        if foundCount == 0, !sawPerson {
            return "Mates cannot be told: no match has a person, and none is a face that the truth names. Import the "
                + "collection with --persons, or with the --ids that the truth means."
        }
        if sawPerson, namelessCount > 0 {
            return
                "Mates may look missed that are not: of \(NumberText.counted(namelessCount, "mated probe")) the truth "
                + "names one face and no person, so that other faces of the same people count as strangers. Name the "
                + "person or all faces in the truth (\"person\", \"face_ids\")."
        }
        guard !sawPerson, oneFaceCount > 0 else { return nil }
        return "Mates may look missed that are not: no match has a person, and of "
            + "\(NumberText.counted(oneFaceCount, "mated probe")) the truth names one face, so that other faces of the "
            + "same people count as strangers. Import the collection with --persons, or name all faces in the truth "
            + "(\"face_ids\")."
    }
}
