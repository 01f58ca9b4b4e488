package import FaceModel

/// Room for the matches of an answer, counted as whoever sends it does.
package struct AnswerBound: Sendable {
    /// Most bytes of all matches.
    package let byteLimit: Int
    /// Bytes of one match with such metadata; least without any.
    package let byteCount: @Sendable (FaceMetadata) -> Int

    package init(byteLimit: Int, byteCount: @escaping @Sendable (FaceMetadata) -> Int) {
        self.byteLimit = byteLimit
        self.byteCount = byteCount
    }
}
