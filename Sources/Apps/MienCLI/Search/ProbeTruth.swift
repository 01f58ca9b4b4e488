import EmbeddingFiles
import Foundation
import MienClient

/// What is known beforehand of each probe: whether its person is enrolled, and as whom.
struct ProbeTruth {
    /// The mate of a probe, as a person or as faces.
    struct Mate: Equatable {
        var person: String?
        var faceIDs: Set<Face.ID>
        /// Whether the person may have other faces besides.
        var isOneOfSeveral: Bool

        func isShown(by match: SearchResults.Match) -> Bool {
            if faceIDs.contains(match.id) { return true }
            guard let person else { return false }
            return match.metadata.personID == person
        }
    }

    private struct Line: Decodable {
        var probe: Int
        var mated: Bool
        var person: String?
        var face_id: String?
        /// Of all the person's faces.
        var face_ids: [String]?
        /// Their rows in the file of ids beside the truth.
        var mates: [Int]?

        var namesMate: Bool { person != nil || face_id != nil || !(face_ids ?? []).isEmpty }
    }

    private static let idsFile = "ids.txt"

    /// By probe; probes that the file does not speak of are absent.
    private let mates: [Int: Mate?]

    /// Reads JSON Lines with `probe`, `mated`, and `person`, `face_id` or `face_ids` for mated probes.
    ///
    /// `face_ids` are all faces of the person. A file that has `mates` instead, rows of a gallery, means the ids of
    /// these rows in the `ids.txt` beside it, where there is one.
    init(path: String) throws(CommandFailure) {
        guard let data = FileManager.default.contents(atPath: path) else {
            throw CommandFailure(.fileSystem, "\(path) cannot be read; check the path and its permissions")
        }
        var lines: [Line] = []
        let decoder = JSONDecoder()
        let texts = data.split(separator: 0x0A, omittingEmptySubsequences: false)
        for (number, text) in texts.enumerated() where !text.isEmpty {
            guard let line = try? decoder.decode(Line.self, from: text), !line.mated || line.namesMate else {
                throw CommandFailure(
                    .badData,
                    "\(path) line \(number + 1) does not tell a probe's truth; each line needs \"probe\" and "
                        + "\"mated\", and \"person\", \"face_ids\" or \"face_id\" for a mated probe"
                )
            }
            lines.append(line)
        }
        let rows = Set(lines.lazy.filter { $0.mated && $0.face_ids == nil }.flatMap { $0.mates ?? [] })
        let ids = try Self.faceIDs(of: rows, besideTruth: path)
        var mates: [Int: Mate?] = [:]
        for line in lines { mates.updateValue(line.mated ? Self.mate(line, ids) : nil, forKey: line.probe) }
        self.mates = mates
    }

    private static func mate(_ line: Line, _ ids: [Int: Face.ID]) -> Mate {
        let named = line.face_ids?.compactMap(faceID) ?? (line.mates ?? []).compactMap { ids[$0] }
        let isWhole = !named.isEmpty && named.count == (line.face_ids?.count ?? line.mates?.count)
        return Mate(
            person: line.person,
            faceIDs: Set(named + [line.face_id.flatMap(faceID)].compactMap(\.self)),
            isOneOfSeveral: !isWhole
        )
    }

    private static func faceID(_ label: String) -> Face.ID? { FaceLabel.id(label).map { Face.ID($0) } }

    /// The ids of rows of a gallery; nothing when the truth is not beside the gallery's ids.
    private static func faceIDs(of rows: Set<Int>, besideTruth path: String) throws(CommandFailure) -> [Int: Face.ID] {
        let folder = URL(filePath: path).deletingLastPathComponent()
        let file = folder.appending(path: idsFile).path
        guard !rows.isEmpty, FileManager.default.fileExists(atPath: file) else { return [:] }
        return try filing { () throws(EmbeddingFileError) in
            var reader = try LabelReader(path: file)
            var ids: [Int: Face.ID] = [:]
            for row in rows.sorted() where row >= 0 && row < reader.rowCount {
                try reader.skip(toRow: row)
                ids[row] = try reader.next(1)[0].flatMap(faceID)
            }
            return ids
        }
    }

    /// From the person of each probe; those without one are of nobody who is enrolled.
    init(persons: [String?]) {
        mates = Dictionary(
            uniqueKeysWithValues: persons.enumerated().map { probe, person in
                (probe, person.map { Mate(person: $0, faceIDs: [], isOneOfSeveral: false) })
            }
        )
    }

    /// From a file with the person of each probe, as ``LabelReader`` reads it.
    init(personsFile path: String, probeCount: Int) throws(CommandFailure) {
        self.init(
            persons: try filing { () throws(EmbeddingFileError) in
                var reader = try LabelReader(path: path, expectedRowCount: probeCount)
                return try reader.next(probeCount)
            }
        )
    }

    private init(mates: [Int: Mate?]) { self.mates = mates }

    /// The persons that probes are said to show.
    var persons: Set<String> { Set(mates.values.compactMap { $0?.person }) }

    /// The truth in a gallery of these persons: probes of others have no mate there.
    ///
    /// Probes whose mate is known by faces alone keep it.
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

    /// Nil for a probe without a mate, and for one that nothing is known of.
    func mate(ofProbe probe: Int) -> Mate? { mates[probe] ?? nil }

    /// Whether the file names this person as the probe's mate.
    func isMate(_ person: String, ofProbe probe: Int) -> Bool { mate(ofProbe: probe)?.person == person }

    func verdict(probe: Int, matches: [SearchResults.Match]) -> Verdict {
        guard let known = mates[probe] else { return .unknown }
        guard let mate = known else { return .nonmated }
        return .mated(rank: matches.firstIndex { mate.isShown(by: $0) }.map { $0 + 1 })
    }
}
