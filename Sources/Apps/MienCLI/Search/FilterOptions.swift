import ArgumentParser
import MienClient

/// Which faces a search may find.
struct FilterOptions: ParsableArguments {
    @Option(
        name: .customLong("person"),
        help: ArgumentHelp("Find only faces of this person; may be repeated.", valueName: "id")
    )
    var persons: [String] = []
    @Option(
        name: .customLong("external-id"),
        help: ArgumentHelp("Find only faces of this external image id; may be repeated.", valueName: "id")
    )
    var externalIDs: [String] = []
    @Option(
        name: .customLong("attribute"),
        help: ArgumentHelp("Find only faces with this attribute; may be repeated.", valueName: "key=value"),
        transform: ArgumentText.attribute
    )
    var attributes: [(key: String, value: String)] = []
    @Option(
        name: .customLong("created-from"),
        help: ArgumentHelp("Find only faces created at this time or later.", valueName: "time"),
        transform: ArgumentText.time
    )
    var createdFrom: Face.Timestamp?
    @Option(
        name: .customLong("created-to"),
        help: ArgumentHelp("Find only faces created before this time.", valueName: "time"),
        transform: ArgumentText.time
    )
    var createdBefore: Face.Timestamp?

    func validate() throws {
        let keys = attributes.map(\.key)
        if let key = keys.first(where: { key in keys.count { $0 == key } > 1 }) {
            throw ValidationError("--attribute gives '\(key)' twice; a face has one value of it.")
        }
    }

    /// Nil when no condition is given.
    var filter: SearchOptions.Filter? {
        let filter = SearchOptions.Filter(
            personIDs: persons.isEmpty ? nil : persons,
            externalImageIDs: externalIDs.isEmpty ? nil : externalIDs,
            attributes: Dictionary(attributes.map { ($0.key, $0.value) }) { $1 },
            createdFrom: createdFrom,
            createdBefore: createdBefore
        )
        return filter == SearchOptions.Filter() ? nil : filter
    }
}
