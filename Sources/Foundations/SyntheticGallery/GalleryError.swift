package import EmbeddingFiles

/// What can go wrong in making or writing a synthetic gallery.
package enum GalleryError: Error, Equatable, Sendable {
    case outOfRange(parameter: String, value: String, allowed: String)
    case occupied(path: String)
    case folder(path: String, action: String, reason: String)
    case file(EmbeddingFileError)
}

extension GalleryError: CustomStringConvertible {
    package var description: String {
        switch self {
        case .outOfRange(let parameter, let value, let allowed):
            "\(parameter) \(value) is out of range; allowed: \(allowed)"
        case .occupied(let path):
            "\(path) exists and is not this gallery; choose another folder or remove it"
        case .folder(let path, let action, let reason):
            "\(path) cannot be \(action): \(reason)"
        case .file(let error):
            error.description
        }
    }
}
