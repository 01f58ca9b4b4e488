import InvertedFileIndex
package import WireProtocol

/// Reads codebooks for those who know nothing of what is in them.
package enum CodebookReading {
    /// What people may know of a codebook.
    ///
    /// - Throws: `invalidRequest`, when the bytes are none that this build can read, or of another dimension.
    package static func summary(
        of bytes: [UInt8],
        dimension: Int
    ) throws(WireStatus) -> CollectionDescription.Codebook {
        let codebook: Codebook
        do throws(CodebookError) {
            codebook = try Codebook(bytes: bytes)
        } catch {
            throw WireStatus(.invalidRequest, "The codebook cannot be read: \(error).")
        }
        guard codebook.dimension == dimension else {
            throw WireStatus(
                .invalidRequest,
                "The codebook is of \(codebook.dimension) components, and the collection of \(dimension)."
            )
        }
        return CollectionDescription.Codebook(codebook)
    }
}
