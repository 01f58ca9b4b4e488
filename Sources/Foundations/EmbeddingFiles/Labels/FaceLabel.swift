package import FaceModel

/// The ids that people write: in label files and in JSON Lines alike.
package enum FaceLabel {
    /// A UUID, or a whole number, which stands for the UUID of that value; nil for anything else.
    package static func id(_ label: String) -> FaceID? {
        FaceID(label) ?? UInt64(label).map { FaceID(high: 0, low: $0) }
    }
}
