/// Which faces a search may find: those for which every condition that is given holds.
///
/// Texts are compared byte by byte. A face without the field of a condition does not pass it.
package struct FaceFilter: Hashable, Sendable {
    /// The face's person is one of these: 1–256 ids; nil for any face.
    package var personIDs: [String]?
    /// The face's external image id is one of these: 1–256 ids; nil for any face.
    package var externalImageIDs: [String]?
    /// The face has every one of these pairs: up to 32.
    package var attributes: [String: String]
    /// The face was created at this moment or later.
    package var createdFrom: Timestamp?
    /// The face was created before this moment.
    package var createdBefore: Timestamp?

    package init(
        personIDs: [String]? = nil,
        externalImageIDs: [String]? = nil,
        attributes: [String: String] = [:],
        createdFrom: Timestamp? = nil,
        createdBefore: Timestamp? = nil
    ) {
        self.personIDs = personIDs
        self.externalImageIDs = externalImageIDs
        self.attributes = attributes
        self.createdFrom = createdFrom
        self.createdBefore = createdBefore
    }

    package static let idCountLimit = 256

    /// The first rule the filter breaks, as one sentence without its content; nil when it is valid.
    ///
    /// An empty list of ids is refused: it is more often a mistake than a wish to find nothing.
    package var problem: String? {
        for (field, ids) in [("person ids", personIDs), ("external image ids", externalImageIDs)] {
            guard let ids else { continue }
            if !(1...Self.idCountLimit).contains(ids.count) {
                return "a filter takes 1–\(Self.idCountLimit) \(field), not \(ids.count)"
            }
            if let id = ids.first(where: { !(1...FaceMetadata.nameByteLimit).contains($0.utf8.count) }) {
                return "a filter's \(field) must be 1–255 bytes, not \(id.utf8.count)"
            }
        }
        if attributes.count > FaceMetadata.attributeCountLimit {
            return "a filter takes at most 32 attributes, not \(attributes.count)"
        }
        for (key, value) in attributes {
            if !(1...FaceMetadata.attributeKeyByteLimit).contains(key.utf8.count) {
                return "a filter's attribute keys must be 1–64 bytes"
            }
            if value.utf8.count > FaceMetadata.attributeValueByteLimit {
                return "a filter's attribute values must be 0–255 bytes"
            }
        }
        if let createdFrom, let createdBefore, createdFrom >= createdBefore {
            return "a filter's created range must begin before it ends"
        }
        return nil
    }
}
