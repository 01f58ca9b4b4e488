import MienClient

/// What a writer knows of the faces that it writes: what was acknowledged, and what may or may not have been done.
struct FaceLedger: Sendable {
    enum Content: Hashable, Sendable {
        case absent
        /// The face's content was made for this number.
        case version(Int)
    }

    /// What each face may be now; one content where it is certain.
    private(set) var contents: [Face.ID: Set<Content>] = [:]
    private(set) var ids: [Face.ID] = []
    /// Of faces that are absent, and were there or may have been: the versions of which one was the last, and those of
    /// deletions before, if it is not sure that the face was there in between.
    private(set) var lastVersions: [Face.ID: Set<Int>] = [:]

    /// A write is under way that would make the faces so.
    ///
    /// - Returns: what they may have been before, for ``putBack(_:)``.
    mutating func begin(_ faces: [Face.ID], _ content: Content) -> [Face.ID: Set<Content>] {
        var before: [Face.ID: Set<Content>] = [:]
        for face in faces {
            if contents[face] == nil { ids.append(face) }
            before[face] = contents[face] ?? [.absent]
            contents[face, default: [.absent]].insert(content)
        }
        return before
    }

    /// The write was refused with nothing done.
    mutating func putBack(_ before: [Face.ID: Set<Content>]) {
        for (face, contents) in before { self.contents[face] = contents }
    }

    /// The write was acknowledged, or the content was seen while nothing was under way.
    mutating func settle(_ faces: [Face.ID], _ content: Content) {
        for face in faces {
            let before = contents.updateValue([content], forKey: face) ?? []
            guard content == .absent else {
                lastVersions[face] = nil
                continue
            }
            let versions = before.compactMap { content -> Int? in
                if case .version(let version) = content { version } else { nil }
            }
            // A deletion of what was absent tells nothing new.
            if !versions.isEmpty { lastVersions[face, default: []].formUnion(versions) }
        }
    }

    /// Of what versions a face must be searched with to be found, if it were there: of the one that it is, or of any
    /// that it was when it was deleted; each version's embedding is near no other's.
    func probeVersions(of face: Face.ID, _ content: Content) -> [Int] {
        switch content {
        case .version(let version): [version]
        case .absent: (lastVersions[face] ?? []).sorted()
        }
    }

    var uncertainCount: Int { contents.values.count { $0.count > 1 } }

    /// The embedding of a face in a version: random, and the same each time.
    static func embedding(_ face: Face.ID, version: Int, dimension: Int) -> [Float] {
        var seed = UInt64(version) &* 0x9E37_79B9_7F4A_7C15
        for byte in face.description.utf8 { seed = (seed ^ UInt64(byte)) &* 0x100_0000_01B3 }
        var random = SeededRandom(seed: seed)
        return random.direction(dimension: dimension)
    }
}
