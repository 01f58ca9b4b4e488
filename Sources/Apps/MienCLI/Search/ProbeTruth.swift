import Foundation
import MienClient

/// What is known beforehand of each probe: whether its person is enrolled, and as whom.
struct ProbeTruth {
    /// The mate of a probe; nil when its person is not enrolled.
    struct Mate: Equatable {
        var person: String?
        var faceID: Face.ID?

        func isShown(by match: SearchResults.Match) -> Bool {
            if let faceID, match.id == faceID { return true }
            guard let person else { return false }
            return match.metadata.personID == person
        }
    }

    private struct Line: Decodable {
        var probe: Int
        var mated: Bool
        var person: String?
        var face_id: String?
    }

    /// By probe; probes that the file does not speak of are absent.
    private let mates: [Int: Mate?]

    /// Reads JSON Lines with `probe`, `mated`, and `person` or `face_id` for mated probes.
    init(path: String) throws(CommandFailure) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure(.fileSystem, "\(path) cannot be read; check the path and its permissions")
        }
        var mates: [Int: Mate?] = [:]
        let decoder = JSONDecoder()
        for (number, text) in data.split(separator: 0x0A).enumerated() {
            guard let line = try? decoder.decode(Line.self, from: text),
                !line.mated || line.person != nil || line.face_id != nil
            else {
                throw CommandFailure(
                    .badData,
                    "\(path) line \(number + 1) does not tell a probe's truth; each line needs \"probe\" and "
                        + "\"mated\", and \"person\" or \"face_id\" for a mated probe"
                )
            }
            let mate = line.mated ? Mate(person: line.person, faceID: line.face_id.flatMap { Face.ID($0) }) : nil
            mates.updateValue(mate, forKey: line.probe)
        }
        self.mates = mates
    }

    /// From the person of each probe; those without one are of nobody who is enrolled.
    init(persons: [String?]) {
        mates = Dictionary(
            uniqueKeysWithValues: persons.enumerated().map { probe, person in
                (probe, person.map { Mate(person: $0, faceID: nil) })
            }
        )
    }

    private init(mates: [Int: Mate?]) { self.mates = mates }

    /// The persons that probes are said to show.
    var persons: Set<String> { Set(mates.values.compactMap { $0?.person }) }

    /// The truth in a gallery of these persons: probes of others have no mate there.
    ///
    /// Probes whose mate is known by a face alone keep it.
    func limited(toPersons enrolled: Set<String>) -> ProbeTruth {
        ProbeTruth(
            mates: mates.mapValues { mate in
                guard let person = mate?.person, !enrolled.contains(person) else { return mate }
                return nil
            }
        )
    }

    enum Verdict: Equatable {
        /// The file says nothing of the probe.
        case unknown
        /// The probe's person is not enrolled.
        case nonmated
        /// The rank of the mate, from 1; nil when it is not among the matches.
        case mated(rank: Int?)
    }

    /// Whether the file names this person as the probe's mate.
    func isMate(_ person: String, ofProbe probe: Int) -> Bool {
        guard let known = mates[probe], let mate = known else { return false }
        return mate.person == person
    }

    func verdict(probe: Int, matches: [SearchResults.Match]) -> Verdict {
        guard let known = mates[probe] else { return .unknown }
        guard let mate = known else { return .nonmated }
        return .mated(rank: matches.firstIndex { mate.isShown(by: $0) }.map { $0 + 1 })
    }
}
