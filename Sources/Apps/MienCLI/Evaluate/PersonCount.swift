import MienClient

/// How many people a gallery's faces are of: what N counts in NIST's tables.
struct PersonCount: Equatable {
    private var persons: Set<String> = []
    /// Faces of whom nobody said who they are.
    private(set) var namelessFaceCount = 0

    mutating func add(_ person: String?) {
        if let person { persons.insert(person) } else { namelessFaceCount += 1 }
    }

    /// Nil where no face has a person.
    var count: Int? { persons.isEmpty ? nil : persons.count }

    /// Those that are known.
    var all: Set<String> { persons }

    /// Such as `of 2000 persons`, after a number of faces.
    var text: String {
        guard let count else { return "of unknown persons" }
        let nameless = namelessFaceCount == 0 ? "" : " (\(namelessFaceCount) without a person)"
        return "of \(NumberText.counted(count, "person"))" + nameless
    }

    /// For a cell of a table.
    var cell: String { count.map { "\($0)" } ?? "-" }

    /// Reads the persons of every face of a collection.
    static func reading(_ collection: String, _ client: MienClient) async throws(CommandFailure) -> PersonCount {
        var persons = PersonCount()
        var pages = client.allFaces(in: collection, pageLimit: 10_000).makeAsyncIterator()
        while true {
            let page: [Face]?
            do throws(MienClientError) { page = try await pages.next() } catch { throw CommandFailure(error) }
            guard let page else { return persons }
            for face in page { persons.add(face.metadata.personID) }
        }
    }
}
