package import Logging

extension Logger.Metadata {
    /// The metadata of a slow-search line.
    package static func slowSearch(_ values: [(LogKey, String)]) -> Logger.Metadata {
        Dictionary(uniqueKeysWithValues: values.map { ($0.rawValue, .string($1)) })
    }
}
